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
KERNEL_HD inline Paint paint_yuv(Rgb8 colour, double kr, double kb, bool full_range) {
  const double luma = kr * colour.red + (1 - kr - kb) * colour.green + kb * colour.blue;
  const double u = (colour.blue - luma) / (2 * (1 - kb)), v = (colour.red - luma) / (2 * (1 - kr));
  const double chroma = full_range ? 1 : 224 / 255.0;
  return {{round_to_byte(full_range ? luma : 16 + luma * 219 / 255.0), round_to_byte(128 + u * chroma),
           round_to_byte(128 + v * chroma)}};
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
