// Blending, coverage and colours of the drawing kernels, on values.
#pragma once

#include <cmath>

#include "../native/colour.h"

namespace vidgraph {

// A colour in the picture's own components: Y, U, V or R, G, B.
struct Paint {
  uint8_t value[3];
};

struct Rgb8 {
  uint8_t red, green, blue;
};

// Whole pixels: columns x1 to x2 - 1, rows y1 to y2 - 1.
struct PixelRect {
  int x1, y1, x2, y2;
};

struct Disc {
  float x, y, radius;  // continuous pixels
};

// Four bars between two rectangles.
struct Outline {
  PixelRect outer, inner;
};

// How a colour becomes components of YUV.
struct Colours {
  double kr, kb;
  bool full_range;
};

// Masks in the order in which they are drawn, with one alpha.
struct MaskList {
  const PixelRect* rects;
  const uint8_t* bits;  // rows of each rectangle, each padded to a byte, first pixel in the highest bit
  int64_t length;       // bytes in all
  const int64_t* offsets;
  const Paint* paints;
  int64_t count;
  uint8_t alpha;
};

namespace KERNEL_ISA {

// Exactly round((under * (255 - alpha) + over * alpha) / 255), in sixteen bits.
KERNEL_HD inline uint8_t blend(uint8_t under, uint8_t over, uint8_t alpha) {
  const auto sum = static_cast<uint16_t>(under * (255 - alpha) + over * alpha + 128);
  return static_cast<uint8_t>(static_cast<uint16_t>(sum + (sum >> 8)) >> 8);
}

KERNEL_HD inline uint8_t round_to_byte(double value) {
  return static_cast<uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value + 0.5);
}

// Source: ITU-R BT.601-7, BT.709-6, BT.2020-2, eight bits.
KERNEL_HD inline Paint paint_yuv(Rgb8 colour, Colours colours) {
  const double kr = colours.kr, kb = colours.kb;
  const bool full_range = colours.full_range;
  const double luma = kr * colour.red + (1 - kr - kb) * colour.green + kb * colour.blue;
  const double u = (colour.blue - luma) / (2 * (1 - kb)), v = (colour.red - luma) / (2 * (1 - kr));
  const double chroma = full_range ? 1 : 224 / 255.0;
  return {{round_to_byte(full_range ? luma : 16 + luma * 219 / 255.0), round_to_byte(128 + u * chroma),
           round_to_byte(128 + v * chroma)}};
}

KERNEL_HD inline Paint paint_of(Kind kind, Colours colours, const uint8_t* rgb) {
  return kind == Kind::packed_rgb ? Paint{{rgb[0], rgb[1], rgb[2]}} : paint_yuv({rgb[0], rgb[1], rgb[2]}, colours);
}

// Share of pixel (x, y) that the disc covers, 0..255, from the distance of the pixel's centre to the rim.
KERNEL_HD inline uint8_t disc_coverage(Disc disc, int x, int y) {
  const float dx = static_cast<float>(x) + 0.5f - disc.x, dy = static_cast<float>(y) + 0.5f - disc.y;
  const float inside = disc.radius + 0.5f - sqrtf(dx * dx + dy * dy);
  const float share = inside > 0.f ? (inside < 1.f ? inside : 1.f) : 0.f;
  return static_cast<uint8_t>(static_cast<int>(share * 255.f + 0.5f));
}

// The whole pixel nearest to a continuous coordinate, held within a range that integers hold. NaN gives `low`.
KERNEL_HD inline int nearest_pixel(float coordinate, int low, int high) {
  const float rounded = floorf(coordinate + 0.5f);
  if (!(rounded > static_cast<float>(low))) return low;
  return rounded < static_cast<float>(high) ? static_cast<int>(rounded) : high;
}

// The outline of a box (x1, y1, x2, y2) in a picture of this size; false where there is none. Corners far outside come
// as near as the outline can still not be seen.
KERNEL_HD inline bool outline_of(const float* box, int width, int height, int thickness, Outline* outline) {
  for (int i = 0; i < 4; ++i) {
    if (!(box[i] == box[i])) return false;
  }
  const int beyond = thickness + 1, right = width + beyond, bottom = height + beyond;
  const PixelRect outer{nearest_pixel(box[0], -beyond, right), nearest_pixel(box[1], -beyond, bottom),
                        nearest_pixel(box[2], -beyond, right), nearest_pixel(box[3], -beyond, bottom)};
  if (outer.x1 >= outer.x2 || outer.y1 >= outer.y2) return false;
  const int half_x = (outer.x2 - outer.x1 + 1) / 2, half_y = (outer.y2 - outer.y1 + 1) / 2;
  const int across = thickness < half_x ? thickness : half_x, down = thickness < half_y ? thickness : half_y;
  PixelRect inner{outer.x1 + across, outer.y1 + down, outer.x2 - across, outer.y2 - down};
  if (inner.x2 < inner.x1) inner.x2 = inner.x1;
  if (inner.y2 < inner.y1) inner.y2 = inner.y1;
  *outline = {outer, inner};
  return true;
}

constexpr int kBars = 4;

// Top, bottom, left, right, in the order in which they are drawn.
KERNEL_HD inline PixelRect bar_of(const Outline& outline, int bar) {
  const PixelRect &outer = outline.outer, &inner = outline.inner;
  if (bar == 0) return {outer.x1, outer.y1, outer.x2, inner.y1};
  if (bar == 1) return {outer.x1, inner.y2, outer.x2, outer.y2};
  if (bar == 2) return {outer.x1, inner.y1, inner.x1, inner.y2};
  return {inner.x2, inner.y1, outer.x2, inner.y2};
}

}  // namespace KERNEL_ISA

// Bytes of scratch memory for a picture of `width` pixels.
inline size_t draw_workspace(int width) { return (static_cast<size_t>(width) + 64) * 6; }

// Each blends in place. `rect` is cut to the picture; alpha 255 replaces what was there.
KERNEL_ENTRY(draw_rect, const PictureView& picture, PixelRect rect, Paint paint, uint8_t alpha, void* workspace)
KERNEL_ENTRY(draw_disc, const PictureView& picture, Disc disc, Paint paint, void* workspace)
// `mask` [rect height][rect width] alpha, scaled by `alpha` / 255.
KERNEL_ENTRY(draw_alpha, const PictureView& picture, PixelRect rect, const uint8_t* mask, Paint paint, uint8_t alpha,
             void* workspace)
KERNEL_ENTRY(draw_masks, const PictureView& picture, const MaskList& masks)

}  // namespace vidgraph
