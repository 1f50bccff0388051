// One pixel of `to_rgb`, on values.
#pragma once

#include "../native/colour.h"

namespace vidgraph {

constexpr int kChromaUnit = 8;  // upsampled chroma is kept as eighths: every bilinear weight of 4:2:0 is one

namespace KERNEL_ISA {

// To the nearest integer, halves up, where that is not negative; below, some number that is not positive: clamping
// to 0..255 comes after.
KERNEL_HD inline int16_t round_unclamped(float value) { return static_cast<int16_t>(static_cast<int>(value + 0.5f)); }

KERNEL_HD inline uint8_t clamp_to_8_bits(int16_t value) {
  return static_cast<uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
}

}  // namespace KERNEL_ISA

// Bytes of scratch memory for rows of `width` pixels.
inline size_t to_rgb_workspace(int width) { return (static_cast<size_t>(width) + 64) * 6 * sizeof(uint16_t); }

KERNEL_ENTRY(to_rgb, const PictureView& picture, const YuvToRgb& colour, void* workspace, uint8_t* out)

}  // namespace vidgraph
