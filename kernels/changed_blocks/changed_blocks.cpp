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
    bins[light_bin(g.current[k], g.reference[k])] += g.counted[k];
  }
  return light_of_bin(median_bin(bins, kLightBins, g.used));
}

// The line of least squares through the blocks that lie near `light`.
Light fitted_light(const Grids& g, const Light& light) {
  FitSums sums{};
  for (int64_t k = 0; k < g.blocks; ++k) {
    add_to_fit(sums, g.current[k], g.reference[k], g.counted[k], light);
  }
  return line_through(sums, light);
}

int noise_threshold(const Grids& g, const int32_t* left, int32_t* bins) {
  clear(bins, kNoiseBins);
  for (int64_t k = 0; k < g.blocks; ++k) {
    bins[noise_bin(left[k])] += g.counted[k];
  }
  return threshold_of_bin(median_bin(bins, kNoiseBins, g.used));
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
    left[k] = left_of(current[k], reference[k], light);
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
