// YUV <-> RGB on values. Source: ITU-R BT.601-7, BT.709-6, BT.2020-2 (non-constant luminance), H.273 for the ranges.
#pragma once

#include "kernel.h"

namespace vidgraph {

// rgb = 255-based: luma = (y - luma_zero) * luma_scale; red = luma + red_v * (v - chroma_zero); ...
struct YuvToRgb {
  float luma_zero, luma_scale, chroma_zero;
  float red_v, green_u, green_v, blue_u;
};

namespace KERNEL_ISA {

// `kr`, `kb`: weights of red and blue in luma. `bits`: significant bits of a sample.
KERNEL_HD inline YuvToRgb yuv_to_rgb_coefficients(double kr, double kb, int bits, bool full_range) {
  const double unit = 1 << (bits - 8);
  const double luma_range = full_range ? 256 * unit - 1 : 219 * unit;
  const double chroma_range = full_range ? 256 * unit - 1 : 224 * unit;
  const double kg = 1 - kr - kb, red = 2 * (1 - kr), blue = 2 * (1 - kb), chroma = 255 / chroma_range;
  return {full_range ? 0.f : static_cast<float>(16 * unit),
          static_cast<float>(255 / luma_range),
          static_cast<float>(128 * unit),
          static_cast<float>(red * chroma),
          static_cast<float>(-kb * blue / kg * chroma),
          static_cast<float>(-kr * red / kg * chroma),
          static_cast<float>(blue * chroma)};
}

KERNEL_HD inline float clamp_255(float value) {
  const float positive = value > 0.f ? value : 0.f;
  return positive < 255.f ? positive : 255.f;
}

KERNEL_HD inline float lerp(float low, float high, float weight) { return low + weight * (high - low); }

}  // namespace KERNEL_ISA
}  // namespace vidgraph
