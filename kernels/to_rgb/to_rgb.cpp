// CPU twin of `to_rgb`: per row, blend two chroma rows, double them horizontally, convert, interleave.
#include "to_rgb.h"

#include <cstring>

#if defined(__SSSE3__)
#include <tmmintrin.h>
#endif

namespace vidgraph::KERNEL_ISA {
namespace {

// Quarters of a chroma sample; `step` samples apart (2 where U and V are interleaved).
template <typename Sample, int kStep>
void blend_rows(const Sample* __restrict near, const Sample* __restrict far, const RowTaps& taps, int low_bits,
                int count, uint16_t* __restrict out) {
  const auto weight = static_cast<uint16_t>(taps.near_weight), other = static_cast<uint16_t>(taps.far_weight);
  for (int k = 0; k < count; ++k) {
    const auto a = static_cast<uint16_t>(near[kStep * k] >> low_bits), b = static_cast<uint16_t>(far[kStep * k] >> low_bits);
    out[k] = static_cast<uint16_t>(a * weight + b * other);
  }
}

// Eighths: a sample sits on the even pixel, the odd one is half-way to the next. Writes two past an odd width.
void double_row(const uint16_t* __restrict in, int count, uint16_t* __restrict out) {
  for (int k = 0; k + 1 < count; ++k) {
    out[2 * k] = static_cast<uint16_t>(in[k] + in[k]);
    out[2 * k + 1] = static_cast<uint16_t>(in[k] + in[k + 1]);
  }
  out[2 * count - 2] = out[2 * count - 1] = static_cast<uint16_t>(2 * in[count - 1]);
}

void to_eighths(const uint16_t* __restrict in, int count, uint16_t* __restrict out) {
  for (int k = 0; k < count; ++k) out[k] = static_cast<uint16_t>(2 * in[k]);
}

template <typename Sample>
void convert_row(const Sample* __restrict luma, const uint16_t* __restrict u_row, const uint16_t* __restrict v_row,
                 int low_bits, const YuvToRgb& colour, int width, int16_t* __restrict red, int16_t* __restrict green,
                 int16_t* __restrict blue) {
  const YuvToRgb k = colour;
  const float zero = k.chroma_zero * kChromaUnit, unit = 1.f / kChromaUnit;
  const float red_v = k.red_v * unit, green_u = k.green_u * unit, green_v = k.green_v * unit, blue_u = k.blue_u * unit;
  for (int x = 0; x < width; ++x) {
    const float y = (static_cast<float>(luma[x] >> low_bits) - k.luma_zero) * k.luma_scale;
    const float u = static_cast<float>(u_row[x]) - zero, v = static_cast<float>(v_row[x]) - zero;
    red[x] = round_unclamped(y + red_v * v);
    green[x] = round_unclamped(y + green_u * u + green_v * v);
    blue[x] = round_unclamped(y + blue_u * u);
  }
}

#if defined(__SSSE3__)
__m128i clamp_sixteen(const int16_t* values) {
  const auto* vectors = reinterpret_cast<const __m128i*>(values);
  return _mm_packus_epi16(_mm_loadu_si128(vectors), _mm_loadu_si128(vectors + 1));
}
#endif

void interleave(const int16_t* red, const int16_t* green, const int16_t* blue, int width, uint8_t* out) {
  int x = 0;
#if defined(__SSSE3__)
  // Sixteen pixels are three vectors; each takes bytes of all three colours (0x80 writes a zero, to be or-ed over).
  alignas(16) uint8_t takes[3][3][16];
  for (int i = 0; i < 48; ++i) {
    for (int c = 0; c < 3; ++c) takes[i / 16][c][i % 16] = i % 3 == c ? static_cast<uint8_t>(i / 3) : 0x80;
  }
  for (; x + 16 <= width; x += 16) {
    const __m128i r = clamp_sixteen(red + x);
    const __m128i g = clamp_sixteen(green + x);
    const __m128i b = clamp_sixteen(blue + x);
    for (int part = 0; part < 3; ++part) {
      const auto* take = reinterpret_cast<const __m128i*>(takes[part]);
      const __m128i mixed = _mm_or_si128(_mm_or_si128(_mm_shuffle_epi8(r, take[0]), _mm_shuffle_epi8(g, take[1])),
                                         _mm_shuffle_epi8(b, take[2]));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 3 * x + 16 * part), mixed);
    }
  }
#endif
  for (; x < width; ++x) {
    out[3 * x] = clamp_to_8_bits(red[x]);
    out[3 * x + 1] = clamp_to_8_bits(green[x]);
    out[3 * x + 2] = clamp_to_8_bits(blue[x]);
  }
}

struct Rows {
  uint16_t *u, *v, *blended;
  int16_t *red, *green, *blue;
};

template <typename Sample>
const Sample* row_of(const Plane& plane, int index) {
  return reinterpret_cast<const Sample*>(plane.data + index * plane.stride);
}

// Eighths of chroma component `component` (0: U, 1: V) for every pixel of luma row `y`.
template <typename Sample>
void chroma_row(const PictureView& p, int component, int y, uint16_t* blended, uint16_t* out) {
  const bool paired = p.kind == Kind::semi_planar;
  const Plane& plane = p.planes[paired ? 1 : 1 + component];
  const RowTaps taps = chroma_rows(y, p.shift_y, plane.height);
  const Sample *near = row_of<Sample>(plane, taps.near), *far = row_of<Sample>(plane, taps.far);
  if (paired) {
    blend_rows<Sample, 2>(near + component, far + component, taps, p.low_bits, plane.width, blended);
  } else {
    blend_rows<Sample, 1>(near, far, taps, p.low_bits, plane.width, blended);
  }
  if (p.shift_x) {
    double_row(blended, plane.width, out);
  } else {
    to_eighths(blended, plane.width, out);
  }
}

template <typename Sample>
void convert_picture(const PictureView& p, const YuvToRgb& colour, const Rows& rows, uint8_t* out) {
  const int width = p.planes[0].width, height = p.planes[0].height;
  const bool gray = p.kind == Kind::gray;
  for (int x = 0; gray && x < width; ++x) rows.u[x] = rows.v[x] = static_cast<uint16_t>(colour.chroma_zero * kChromaUnit);
  for (int y = 0; y < height; ++y) {
    if (!gray) {
      chroma_row<Sample>(p, 0, y, rows.blended, rows.u);
      chroma_row<Sample>(p, 1, y, rows.blended, rows.v);
    }
    convert_row(row_of<Sample>(p.planes[0], y), rows.u, rows.v, p.low_bits, colour, width, rows.red, rows.green,
                rows.blue);
    interleave(rows.red, rows.green, rows.blue, width, out + static_cast<size_t>(y) * width * 3);
  }
}

}  // namespace

void to_rgb(const PictureView& picture, const YuvToRgb& colour, void* workspace, uint8_t* out) {
  const size_t width = picture.planes[0].width, padded = width + 64;
  if (picture.kind == Kind::packed_rgb) {
    for (int y = 0; y < picture.planes[0].height; ++y) {
      std::memcpy(out + y * width * 3, row_of<uint8_t>(picture.planes[0], y), width * 3);
    }
    return;
  }
  auto* words = static_cast<uint16_t*>(workspace);
  auto* values = reinterpret_cast<int16_t*>(words + 3 * padded);
  const Rows rows{words, words + padded, words + 2 * padded, values, values + padded, values + 2 * padded};
  if (picture.bits > 8) {
    convert_picture<uint16_t>(picture, colour, rows, out);
  } else {
    convert_picture<uint8_t>(picture, colour, rows, out);
  }
}

}  // namespace vidgraph::KERNEL_ISA
