// One pixel of `to_rgb`, on values.
#pragma once

#include "../native/colour.h"

namespace vidgraph {

constexpr int kChromaUnit = 8;  // upsampled chroma is kept as eighths: every bilinear weight of 4:2:0 is one

// Weights of two chroma rows, in quarters.
struct RowTaps {
  int near, far;
  int near_weight, far_weight;
};

namespace KERNEL_ISA {

// 4:2:0 chroma lies between two luma rows: a luma row is a quarter of a chroma row from the near one.
KERNEL_HD inline RowTaps chroma_rows(int y, int shift_y, int chroma_height) {
  if (!shift_y) return {y, y, 4, 0};
  const int near = y >> 1, wanted = (y & 1) ? near + 1 : near - 1;
  const int far = wanted < 0 ? 0 : wanted >= chroma_height ? chroma_height - 1 : wanted;
  return {near, far, 3, 1};
}

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
