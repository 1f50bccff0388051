// Where a picture differs from another one, block by block, beyond light, noise and a slight shift.
#pragma once

#include "../native/kernel.h"

namespace vidgraph {

constexpr int kUnit = 256;              // one step of 8 bits
constexpr int kGainBits = 12;           // gains are in 1/4096
constexpr int kFitRange = 16 * kUnit;   // blocks that differ by less tell what the light did
constexpr int kFewestToFit = 16;        // fewer blocks tell only its offset
constexpr int kLightBits = 7;           // the median difference is in halves of a step
constexpr int kLightBins = 1024;
constexpr int kNoiseBits = 4;           // the median of what is left is in 1/16 of a step
constexpr int kNoiseBins = 32;          // what is more gives the highest threshold
constexpr int kNoiseFactor = 9;         // six standard deviations: 6 * 1.4826
constexpr int kLeast = 3 * kUnit, kMost = 12 * kUnit;  // of the threshold
constexpr int kTextureBits = 2;         // a quarter of the contrast around the block: a shift by a quarter block
constexpr int kNeighbours = 3;          // of the nine blocks around one, itself included

// What the light did: reference * gain / 4096 + offset / 4096.
struct Light {
  int32_t gain, offset;
};

namespace KERNEL_ISA {

// 4096 times what is left of a difference when the light is taken out.
KERNEL_HD inline int32_t without_light(uint16_t current, uint16_t reference, const Light& light) {
  return (static_cast<int32_t>(current) << kGainBits) - light.offset - light.gain * static_cast<int32_t>(reference);
}

KERNEL_HD inline int32_t magnitude(int32_t value) { return value < 0 ? -value : value; }

}  // namespace KERNEL_ISA

// Bytes of scratch memory for so many blocks.
inline size_t changed_blocks_workspace(size_t blocks) {
  return kLightBins * sizeof(int32_t) + blocks * (sizeof(int32_t) + sizeof(uint8_t));
}

// `counted` and `out` are 0 or 1; all [rows][columns].
KERNEL_ENTRY(changed_blocks, const uint16_t* current, const uint16_t* reference, const uint8_t* counted, int rows,
             int columns, void* workspace, uint8_t* out)

}  // namespace vidgraph
