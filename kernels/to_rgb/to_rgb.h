// One pixel of `to_rgb`, on values.
#pragma once

#include "../native/colour.h"

namespace vidgraph {

constexpr int kChromaUnit = 8;  // upsampled chroma is kept as eighths: every bilinear weight of 4:2:0 is one

namespace KERNEL_ISA {

KERNEL_HD inline uint8_t round_to_8_bits(float value) {
  return static_cast<uint8_t>(static_cast<int>(clamp_255(value) + 0.5f));
}

}  // namespace KERNEL_ISA

// Bytes of scratch memory for rows of `width` pixels.
inline size_t to_rgb_workspace(int width) { return (static_cast<size_t>(width) + 64) * (2 * 2 * 2 + 3); }

KERNEL_ENTRY(to_rgb, const PictureView& picture, const YuvToRgb& colour, void* workspace, uint8_t* out)

}  // namespace vidgraph
