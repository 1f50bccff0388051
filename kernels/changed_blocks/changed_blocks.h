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

// Of the blocks that a line is drawn through: how many, brightness in the reference and now, and products.
struct FitSums {
  uint64_t n, x, y, xx, xy;
};

namespace KERNEL_ISA {

// 4096 times what is left of a difference when the light is taken out.
KERNEL_HD inline int32_t without_light(uint16_t current, uint16_t reference, const Light& light) {
  return (static_cast<int32_t>(current) << kGainBits) - light.offset - light.gain * static_cast<int32_t>(reference);
}

KERNEL_HD inline int32_t magnitude(int32_t value) { return value < 0 ? -value : value; }

// What is left of a difference when the light is taken out.
KERNEL_HD inline int32_t left_of(uint16_t current, uint16_t reference, const Light& light) {
  return magnitude(without_light(current, reference, light)) >> kGainBits;
}

// The bin of a difference among kLightBins, and the light where half of the differences lie up to a bin.
KERNEL_HD inline int light_bin(uint16_t current, uint16_t reference) {
  const int32_t difference = static_cast<int32_t>(current) - static_cast<int32_t>(reference);
  return (difference >> kLightBits) + kLightBins / 2;
}

KERNEL_HD inline Light light_of_bin(int bin) {
  const int32_t median = (bin - kLightBins / 2) * (1 << kLightBits) + (1 << (kLightBits - 1));
  return {1 << kGainBits, median * (1 << kGainBits)};
}

// The same of what is left, among kNoiseBins, and the threshold.
KERNEL_HD inline int noise_bin(int32_t left) {
  const int32_t bin = left >> kNoiseBits;
  return bin < kNoiseBins ? bin : kNoiseBins - 1;
}

KERNEL_HD inline int threshold_of_bin(int bin) {
  const int threshold = kNoiseFactor * bin * (1 << kNoiseBits);
  return threshold < kLeast ? kLeast : threshold > kMost ? kMost : threshold;
}

// Adds a block to the sums if it counts and lies near `light`.
KERNEL_HD inline void add_to_fit(FitSums& sums, uint16_t current, uint16_t reference, uint8_t counted,
                                 const Light& light) {
  const bool near = magnitude(without_light(current, reference, light)) < (kFitRange << kGainBits);
  const uint32_t used = near && counted ? ~0u : 0u, r = reference & used, c = current & used;
  sums.n += used & 1u;
  sums.x += r;
  sums.y += c;
  sums.xx += r * r;  // fits 32 bits
  sums.xy += r * c;
}

KERNEL_HD inline int32_t rounded(double value) {
  const double shifted = value + 0.5;
  const auto cut = static_cast<int32_t>(shifted);
  return cut - static_cast<int32_t>(static_cast<double>(cut) > shifted);
}

// The line of least squares through blocks; `light` where they are too few.
KERNEL_HD inline Light line_through(const FitSums& sums, const Light& light) {
  if (sums.n < kFewestToFit) return light;
  const auto count = static_cast<double>(sums.n), x = static_cast<double>(sums.x), y = static_cast<double>(sums.y);
  const double spread = count * static_cast<double>(sums.xx) - x * x;
  double gain = spread > 0 ? (count * static_cast<double>(sums.xy) - x * y) / spread : 1.0;
  gain = gain < 0.5 ? 0.5 : gain > 2.0 ? 2.0 : gain;
  const int32_t scaled = rounded(gain * (1 << kGainBits));
  return {scaled, rounded((y * (1 << kGainBits) - static_cast<double>(scaled) * x) / count)};
}

}  // namespace KERNEL_ISA

// Bytes of scratch memory for so many blocks.
inline size_t changed_blocks_workspace(size_t blocks) {
  return kLightBins * sizeof(int32_t) + blocks * (sizeof(int32_t) + sizeof(uint8_t));
}

// `counted` and `out` are 0 or 1; all [rows][columns].
KERNEL_ENTRY(changed_blocks, const uint16_t* current, const uint16_t* reference, const uint8_t* counted, int rows,
             int columns, void* workspace, uint8_t* out)

}  // namespace vidgraph
