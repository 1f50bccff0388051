// CUDA twin of `to_rgb`: a thread converts four pixels of a row, which share chroma, and writes words where it can.
#include "../native/cuda.h"
#include "to_rgb.h"

namespace vidgraph {
namespace {

using namespace KERNEL_ISA;

constexpr int kThreads = 256;
constexpr int kPixels = 4;  // a thread's, from a multiple of that on

template <typename Sample>
__device__ inline const Sample* row_of(const Plane& plane, int y) {
  return reinterpret_cast<const Sample*>(plane.data + y * plane.stride);
}

// Eighths of one of `components` interleaved in a plane of chroma, at the thread's pixels.
template <typename Sample>
__device__ inline void chroma_of(const PictureView& p, const Plane& plane, int components, int component, int x, int y,
                                 uint16_t (&eighths)[kPixels]) {
  const RowTaps taps = chroma_rows(y, p.shift_y, plane.height);
  const Sample *near = row_of<Sample>(plane, taps.near) + component, *far = row_of<Sample>(plane, taps.far) + component;
  const int first = x >> p.shift_x, last = plane.width - 1, needed = p.shift_x ? kPixels / 2 + 1 : kPixels;
  uint16_t quarters[kPixels];
  for (int i = 0; i < kPixels; ++i) {
    const int column = first + i < last ? first + i : last;
    if (i >= needed) break;
    const auto a = static_cast<uint16_t>(near[components * column] >> p.low_bits);
    const auto b = static_cast<uint16_t>(far[components * column] >> p.low_bits);
    quarters[i] = static_cast<uint16_t>(a * taps.near_weight + b * taps.far_weight);
  }
  for (int i = 0; i < kPixels; ++i) {
    const int sum = p.shift_x ? quarters[i / 2] + quarters[(i + 1) / 2] : 2 * quarters[i];
    eighths[i] = static_cast<uint16_t>(sum);
  }
}

template <typename Sample>
__device__ inline void convert(const PictureView& p, const YuvToRgb& k, int x, int y, uint8_t (&rgb)[3 * kPixels]) {
  const auto neutral = static_cast<uint16_t>(k.chroma_zero * kChromaUnit);
  uint16_t us[kPixels] = {neutral, neutral, neutral, neutral}, vs[kPixels] = {neutral, neutral, neutral, neutral};
  if (p.kind == Kind::semi_planar) {
    chroma_of<Sample>(p, p.planes[1], 2, 0, x, y, us);
    chroma_of<Sample>(p, p.planes[1], 2, 1, x, y, vs);
  } else if (p.kind == Kind::planar) {
    chroma_of<Sample>(p, p.planes[1], 1, 0, x, y, us);
    chroma_of<Sample>(p, p.planes[2], 1, 0, x, y, vs);
  }
  const float zero = k.chroma_zero * kChromaUnit, unit = 1.f / kChromaUnit;
  const float red_v = k.red_v * unit, green_u = k.green_u * unit, green_v = k.green_v * unit, blue_u = k.blue_u * unit;
  const Sample* row = row_of<Sample>(p.planes[0], y);
  for (int i = 0; i < kPixels; ++i) {
    const int sample = x + i < p.planes[0].width ? row[x + i] >> p.low_bits : 0;
    const float luma = (static_cast<float>(sample) - k.luma_zero) * k.luma_scale;
    const float u = static_cast<float>(us[i]) - zero, v = static_cast<float>(vs[i]) - zero;
    rgb[3 * i] = clamp_to_8_bits(round_unclamped(luma + red_v * v));
    rgb[3 * i + 1] = clamp_to_8_bits(round_unclamped(luma + green_u * u + green_v * v));
    rgb[3 * i + 2] = clamp_to_8_bits(round_unclamped(luma + blue_u * u));
  }
}

// `count` pixels to what may be any address.
__device__ inline void store(const uint8_t (&rgb)[3 * kPixels], int count, uint8_t* out) {
  if (count == kPixels && reinterpret_cast<uintptr_t>(out) % sizeof(uint32_t) == 0) {
    for (int w = 0; w < 3; ++w) {
      const uint32_t high = rgb[4 * w + 3];
      reinterpret_cast<uint32_t*>(out)[w] = rgb[4 * w] | rgb[4 * w + 1] << 8 | rgb[4 * w + 2] << 16 | high << 24;
    }
    return;
  }
  for (int i = 0; i < 3 * kPixels; ++i) {
    if (i < 3 * count) out[i] = rgb[i];
  }
}

}  // namespace

// `out` is contiguous. Threads go row by row.
CUDA_KERNEL(kThreads) to_rgb_pixels(PictureView picture, YuvToRgb colour, uint8_t* out) {
  const Plane& first = picture.planes[0];
  const int across = (first.width + kPixels - 1) / kPixels, thread = static_cast<int>(global_index());
  const int y = thread / across, x = thread % across * kPixels;
  if (y >= first.height) return;
  const int count = first.width - x < kPixels ? first.width - x : kPixels;
  uint8_t rgb[3 * kPixels];
  if (picture.kind == Kind::packed_rgb) {
    const uint8_t* from = row_of<uint8_t>(first, y) + 3 * static_cast<size_t>(x);
    for (int i = 0; i < 3 * kPixels; ++i) rgb[i] = i < 3 * count ? from[i] : 0;
  } else if (picture.bits > 8) {
    convert<uint16_t>(picture, colour, x, y, rgb);
  } else {
    convert<uint8_t>(picture, colour, x, y, rgb);
  }
  store(rgb, count, out + 3 * (static_cast<size_t>(y) * first.width + x));
}

}  // namespace vidgraph
