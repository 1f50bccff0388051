// CUDA twin of `changed_blocks`: one block of threads, as each step needs the whole of the one before and a picture has
// a few thousand blocks. All sums are of whole numbers, so their order is of no matter.
#include "../native/cuda.h"
#include "changed_blocks.h"

namespace vidgraph {
namespace {

using namespace KERNEL_ISA;

constexpr int kThreads = 512;
constexpr int kWarps = kThreads / kWarpLanes;
constexpr int kFits = 2, kSums = 5;
static_assert(2 * kThreads == kLightBins && kLightBins >= kNoiseBins, "a thread has two bins");

struct Grids {
  const uint16_t *current, *reference;
  const uint8_t* counted;
  int rows, columns;
  int64_t blocks;
};

struct Shared {
  int bins[kLightBins];
  long long per_warp[kWarps];
  unsigned long long used, fits[kFits][kSums];  // n, x, y, xx, xy
  Light light;
  int median;
};

// Adds what all threads have to `sum`.
__device__ inline void add_up(uint64_t value, unsigned long long* sum) {
  for (int step = kWarpLanes / 2; step > 0; step /= 2) value += __shfl_xor_sync(kAllLanes, value, step);
  if (threadIdx.x % kWarpLanes == 0) atomicAdd(sum, static_cast<unsigned long long>(value));
}

// The first bin up to which half of `used` values lie. Empties the bins.
__device__ inline int median_bin(int64_t used, Shared* shared) {
  const int thread = static_cast<int>(threadIdx.x), warp = thread / kWarpLanes, lane = thread % kWarpLanes;
  const long long first = shared->bins[2 * thread], second = shared->bins[2 * thread + 1];
  shared->bins[2 * thread] = shared->bins[2 * thread + 1] = 0;
  long long sum = first + second;
  for (int step = 1; step < kWarpLanes; step *= 2) {
    const long long below = __shfl_up_sync(kAllLanes, sum, step);
    if (lane >= step) sum += below;
  }
  if (lane == kWarpLanes - 1) shared->per_warp[warp] = sum;
  __syncthreads();
  for (int w = 0; w < warp; ++w) sum += shared->per_warp[w];
  const bool reached = 2 * (sum - second) >= used, before = thread > 0 && 2 * (sum - second - first) >= used;
  if (2 * sum >= used && !before) shared->median = 2 * thread + !reached;
  __syncthreads();
  return shared->median;
}

// The line of least squares through the blocks that lie near `light`. `sums` are 0 before.
__device__ inline Light fitted_light(const Grids& g, const Light& light, unsigned long long* sums, Light* fitted) {
  FitSums mine{};
  for (int64_t k = threadIdx.x; k < g.blocks; k += kThreads) {
    add_to_fit(mine, g.current[k], g.reference[k], g.counted[k], light);
  }
  add_up(mine.n, sums);
  add_up(mine.x, sums + 1);
  add_up(mine.y, sums + 2);
  add_up(mine.xx, sums + 3);
  add_up(mine.xy, sums + 4);
  __syncthreads();
  if (threadIdx.x == 0) *fitted = line_through({sums[0], sums[1], sums[2], sums[3], sums[4]}, light);
  __syncthreads();
  return *fitted;
}

// Calls `look(index)` for the blocks around one, itself included.
template <class Look>
__device__ inline void around(const Grids& g, int64_t block, Look look) {
  const int row = static_cast<int>(block / g.columns), column = static_cast<int>(block % g.columns);
  for (int y = row > 0 ? row - 1 : 0; y <= row + 1 && y < g.rows; ++y) {
    for (int x = column > 0 ? column - 1 : 0; x <= column + 1 && x < g.columns; ++x) {
      look(static_cast<int64_t>(y) * g.columns + x);
    }
  }
}

__device__ inline int contrast(const Grids& g, int64_t block) {
  int low = 65535, high = 0;
  around(g, block, [&](int64_t k) {
    const int value = g.reference[k];
    low = value < low ? value : low;
    high = value > high ? value : high;
  });
  return high - low;
}

}  // namespace

// All are [rows][columns], with a block or more; `hot` is scratch.
CUDA_KERNEL(kThreads)
changed_blocks_all(const uint16_t* current, const uint16_t* reference, const uint8_t* counted, int rows, int columns,
                   uint8_t* hot, uint8_t* out) {
  __shared__ Shared shared;
  const Grids g{current, reference, counted, rows, columns, static_cast<int64_t>(rows) * columns};
  const int thread = static_cast<int>(threadIdx.x);
  shared.bins[2 * thread] = shared.bins[2 * thread + 1] = 0;
  if (thread < kFits * kSums) shared.fits[thread / kSums][thread % kSums] = 0;
  if (thread == 0) shared.used = 0;
  __syncthreads();
  uint64_t mine = 0;
  for (int64_t k = thread; k < g.blocks; k += kThreads) {
    atomicAdd(&shared.bins[light_bin(current[k], reference[k])], static_cast<int>(counted[k]));
    mine += counted[k];
  }
  add_up(mine, &shared.used);
  __syncthreads();
  const auto used = static_cast<int64_t>(shared.used);
  Light light = light_of_bin(median_bin(used, &shared));
  for (int fit = 0; fit < kFits; ++fit) light = fitted_light(g, light, shared.fits[fit], &shared.light);
  for (int64_t k = thread; k < g.blocks; k += kThreads) {
    atomicAdd(&shared.bins[noise_bin(left_of(current[k], reference[k], light))], static_cast<int>(counted[k]));
  }
  __syncthreads();
  const int threshold = threshold_of_bin(median_bin(used, &shared));
  for (int64_t k = thread; k < g.blocks; k += kThreads) {
    const int left = left_of(current[k], reference[k], light);
    hot[k] = counted[k] && left > threshold && left > threshold + (contrast(g, k) >> kTextureBits);
  }
  __syncthreads();
  const int needed = used < kNeighbours ? static_cast<int>(used) : kNeighbours;
  for (int64_t k = thread; k < g.blocks; k += kThreads) {
    int count = 0;
    if (hot[k]) around(g, k, [&](int64_t other) { count += hot[other]; });
    out[k] = count > 0 && count >= needed;
  }
}

}  // namespace vidgraph
