// CPU twin of `changed_blocks`: whole numbers but for the line through the brightness of two pictures.
#include "changed_blocks.h"

namespace vidgraph::KERNEL_ISA {
namespace {

struct Grids {
  const uint16_t *current, *reference;
  const uint8_t* counted;
  int rows, columns;
  int64_t blocks, used;
};

// The bin up to which half of `used` values lie.
int median_bin(const int32_t* bins, int count, int64_t used) {
  int64_t sum = 0;
  for (int bin = 0; bin < count; ++bin) {
    sum += bins[bin];
    if (2 * sum >= used) return bin;
  }
  return count - 1;
}

void clear(int32_t* bins, int count) {
  for (int bin = 0; bin < count; ++bin) bins[bin] = 0;
}

Light median_light(const Grids& g, int32_t* bins) {
  clear(bins, kLightBins);
  for (int64_t k = 0; k < g.blocks; ++k) {
    const int32_t difference = static_cast<int32_t>(g.current[k]) - static_cast<int32_t>(g.reference[k]);
    bins[(difference >> kLightBits) + kLightBins / 2] += g.counted[k];
  }
  const int32_t bin = median_bin(bins, kLightBins, g.used) - kLightBins / 2;
  const int32_t median = bin * (1 << kLightBits) + (1 << (kLightBits - 1));
  return {1 << kGainBits, median * (1 << kGainBits)};
}

int32_t rounded(double value) {
  const double shifted = value + 0.5;
  const auto cut = static_cast<int32_t>(shifted);
  return cut - static_cast<int32_t>(static_cast<double>(cut) > shifted);
}

// The line of least squares through the blocks that lie near `light`.
Light fitted_light(const Grids& g, const Light& light) {
  uint64_t n = 0, x = 0, y = 0, xx = 0, xy = 0;
  for (int64_t k = 0; k < g.blocks; ++k) {
    const bool near = magnitude(without_light(g.current[k], g.reference[k], light)) < (kFitRange << kGainBits);
    const uint32_t used = near && g.counted[k] ? ~0u : 0u, r = g.reference[k] & used, c = g.current[k] & used;
    n += used & 1u;
    x += r;
    y += c;
    xx += r * r;  // fits 32 bits
    xy += r * c;
  }
  if (n < kFewestToFit) return light;
  const auto count = static_cast<double>(n), sum_x = static_cast<double>(x), sum_y = static_cast<double>(y);
  const double spread = count * static_cast<double>(xx) - sum_x * sum_x;
  double gain = spread > 0 ? (count * static_cast<double>(xy) - sum_x * sum_y) / spread : 1.0;
  gain = gain < 0.5 ? 0.5 : gain > 2.0 ? 2.0 : gain;
  const int32_t scaled = rounded(gain * (1 << kGainBits));
  return {scaled, rounded((sum_y * (1 << kGainBits) - static_cast<double>(scaled) * sum_x) / count)};
}

int noise_threshold(const Grids& g, const int32_t* left, int32_t* bins) {
  clear(bins, kNoiseBins);
  for (int64_t k = 0; k < g.blocks; ++k) {
    const int32_t bin = left[k] >> kNoiseBits;
    bins[bin < kNoiseBins ? bin : kNoiseBins - 1] += g.counted[k];
  }
  const int threshold = kNoiseFactor * median_bin(bins, kNoiseBins, g.used) * (1 << kNoiseBits);
  return threshold < kLeast ? kLeast : threshold > kMost ? kMost : threshold;
}

// Contrast of the reference in the blocks around one.
int contrast(const Grids& g, int row, int column) {
  int low = 65535, high = 0;
  for (int y = row > 0 ? row - 1 : 0; y <= row + 1 && y < g.rows; ++y) {
    for (int x = column > 0 ? column - 1 : 0; x <= column + 1 && x < g.columns; ++x) {
      const int value = g.reference[static_cast<int64_t>(y) * g.columns + x];
      low = value < low ? value : low;
      high = value > high ? value : high;
    }
  }
  return high - low;
}

int neighbours(const Grids& g, const uint8_t* hot, int row, int column) {
  int count = 0;
  for (int y = row > 0 ? row - 1 : 0; y <= row + 1 && y < g.rows; ++y) {
    for (int x = column > 0 ? column - 1 : 0; x <= column + 1 && x < g.columns; ++x) {
      count += hot[static_cast<int64_t>(y) * g.columns + x];
    }
  }
  return count;
}

}  // namespace

void changed_blocks(const uint16_t* current, const uint16_t* reference, const uint8_t* counted, int rows, int columns,
                    void* workspace, uint8_t* out) {
  Grids g{current, reference, counted, rows, columns, static_cast<int64_t>(rows) * columns, 0};
  for (int64_t k = 0; k < g.blocks; ++k) g.used += counted[k];
  auto* bins = static_cast<int32_t*>(workspace);
  int32_t* left = bins + kLightBins;
  auto* hot = reinterpret_cast<uint8_t*>(left + g.blocks);
  const Light light = fitted_light(g, fitted_light(g, median_light(g, bins)));
  for (int64_t k = 0; k < g.blocks; ++k) {
    left[k] = magnitude(without_light(current[k], reference[k], light)) >> kGainBits;
  }
  const int threshold = noise_threshold(g, left, bins);
  int64_t k = 0;
  for (int row = 0; row < rows; ++row) {
    for (int column = 0; column < columns; ++column, ++k) {
      hot[k] = counted[k] && left[k] > threshold && left[k] > threshold + (contrast(g, row, column) >> kTextureBits);
    }
  }
  const int needed = g.used < kNeighbours ? static_cast<int>(g.used) : kNeighbours;
  k = 0;
  for (int row = 0; row < rows; ++row) {
    for (int column = 0; column < columns; ++column, ++k) {
      out[k] = hot[k] && neighbours(g, hot, row, column) >= needed;
    }
  }
}

}  // namespace vidgraph::KERNEL_ISA
