// CUDA twin of `preprocess`: one launch, a block a tile of the output. Where its columns and rows lie in the picture is
// worked out once a tile, in double precision, of which most cards have little.
#include "../native/cuda.h"
#include "../native/narrow.h"
#include "preprocess.h"

namespace vidgraph {
namespace {

using namespace KERNEL_ISA;

constexpr int kThreads = 256;
constexpr int kTileWidth = 64, kTileHeight = 16;
constexpr int kTapsPerPlane = kTileWidth + kTileHeight;

struct Colour {
  float red, green, blue;
};

// Where an output pixel lies among the samples of a plane.
struct Place {
  Tap x, y;
};

// Where a column of the output lies in the planes of luma or chroma.
__device__ inline Tap column_tap(const PictureView& p, const Resample& r, bool chroma, int x) {
  const double position = sample_position(x, r.scale_x, r.offset_x, r.single_positions);
  if (!chroma) return split_position(position, p.planes[0].width);
  return split_position(p.shift_x ? position / 2 : position, p.planes[1].width);
}

__device__ inline Tap row_tap(const PictureView& p, const Resample& r, bool chroma, int y) {
  const double position = sample_position(y, r.scale_y, r.offset_y, r.single_positions);
  if (!chroma) return split_position(position, p.planes[0].height);
  return split_position(p.shift_y ? position / 2 - 0.25 : position, p.planes[1].height);
}

// One of `components` interleaved samples at a place between four of them.
template <typename Sample>
__device__ inline float sample_at(const Plane& plane, int components, int component, int low_bits, const Place& place) {
  const int left = place.x.index * components + component, right = plane.width > 1 ? left + components : left;
  const uint8_t* row = plane.data + place.y.index * plane.stride;
  const auto* low = reinterpret_cast<const Sample*>(row);
  const auto* high = reinterpret_cast<const Sample*>(plane.height > 1 ? row + plane.stride : row);
  const auto value = [=](Sample sample) { return static_cast<float>(static_cast<int>(sample) >> low_bits); };
  return lerp(lerp(value(low[left]), value(low[right]), place.x.weight),
              lerp(value(high[left]), value(high[right]), place.x.weight), place.y.weight);
}

template <typename Sample>
__device__ inline Colour yuv_colour(const PictureView& p, const YuvToRgb& k, const Place& luma, const Place& chroma) {
  const float y = (sample_at<Sample>(p.planes[0], 1, 0, p.low_bits, luma) - k.luma_zero) * k.luma_scale;
  if (p.kind == Kind::gray) return {clamp_255(y), clamp_255(y), clamp_255(y)};
  float u, v;
  if (p.kind == Kind::semi_planar) {
    u = sample_at<Sample>(p.planes[1], 2, 0, p.low_bits, chroma) - k.chroma_zero;
    v = sample_at<Sample>(p.planes[1], 2, 1, p.low_bits, chroma) - k.chroma_zero;
  } else {
    u = sample_at<Sample>(p.planes[1], 1, 0, p.low_bits, chroma) - k.chroma_zero;
    v = sample_at<Sample>(p.planes[2], 1, 0, p.low_bits, chroma) - k.chroma_zero;
  }
  return {clamp_255(y + k.red_v * v), clamp_255(y + k.green_u * u + k.green_v * v), clamp_255(y + k.blue_u * u)};
}

__device__ inline Colour colour_at(const PictureView& p, const YuvToRgb& k, const Place& luma, const Place& chroma) {
  if (p.kind == Kind::packed_rgb) {
    const Plane& plane = p.planes[0];
    return {clamp_255(sample_at<uint8_t>(plane, 3, 0, 0, luma)), clamp_255(sample_at<uint8_t>(plane, 3, 1, 0, luma)),
            clamp_255(sample_at<uint8_t>(plane, 3, 2, 0, luma))};
  }
  return p.bits > 8 ? yuv_colour<uint16_t>(p, k, luma, chroma) : yuv_colour<uint8_t>(p, k, luma, chroma);
}

// The channels of the output at (y, x), in its order.
struct Channels {
  float first, second, third;
};

__device__ inline Channels normalised(const Resample& r, const Colour& colour) {
  return {normalise(r.bgr ? colour.blue : colour.red, r.mean[0], r.inverse_std[0]),
          normalise(colour.green, r.mean[1], r.inverse_std[1]),
          normalise(r.bgr ? colour.red : colour.blue, r.mean[2], r.inverse_std[2])};
}

template <typename T>
__device__ inline void store(const Resample& r, int y, int x, T first, T second, T third, void* out) {
  const size_t pixels = static_cast<size_t>(r.height) * r.width, at = static_cast<size_t>(y) * r.width + x;
  T* place = static_cast<T*>(out) + (r.interleaved ? 3 * at : at);
  const size_t step = r.interleaved ? 1 : pixels;
  place[0] = first;
  place[step] = second;
  place[2 * step] = third;
}

__device__ inline void store_narrowed(const Resample& r, int y, int x, const Channels& c, void* out) {
  switch (r.element) {
    case Element::float32: return store(r, y, x, c.first, c.second, c.third, out);
    case Element::float16: return store(r, y, x, half_of(c.first), half_of(c.second), half_of(c.third), out);
    case Element::uint8: return store(r, y, x, byte_of(c.first), byte_of(c.second), byte_of(c.third), out);
  }
}

}  // namespace

// Writes all pixels of the output. Tiles go row by row.
CUDA_KERNEL(kThreads) preprocess_tiles(PictureView picture, Resample r, YuvToRgb colour, void* out) {
  __shared__ Tap columns[2][kTileWidth];  // of luma, of chroma
  __shared__ Tap rows[2][kTileHeight];
  const int thread = static_cast<int>(threadIdx.x), across = (r.width + kTileWidth - 1) / kTileWidth;
  const int left = static_cast<int>(blockIdx.x) % across * kTileWidth;
  const int top = static_cast<int>(blockIdx.x) / across * kTileHeight;
  if (thread < 2 * kTapsPerPlane) {
    const int chroma = thread / kTapsPerPlane, at = thread % kTapsPerPlane;
    if (at < kTileWidth) {
      columns[chroma][at] = column_tap(picture, r, chroma != 0, left + at);
    } else {
      rows[chroma][at - kTileWidth] = row_tap(picture, r, chroma != 0, top + at - kTileWidth);
    }
  }
  __syncthreads();
  const int column = thread % kTileWidth, x = left + column;
  for (int row = thread / kTileWidth; row < kTileHeight; row += kThreads / kTileWidth) {
    const int y = top + row;
    if (x >= r.width || y >= r.height) return;
    Channels channels{r.padding[0], r.padding[1], r.padding[2]};
    if (y >= r.y1 && y < r.y2 && x >= r.x1 && x < r.x2) {
      const Place luma{columns[0][column], rows[0][row]}, chroma{columns[1][column], rows[1][row]};
      channels = normalised(r, colour_at(picture, colour, luma, chroma));
    }
    store_narrowed(r, y, x, channels, out);
  }
}

}  // namespace vidgraph
