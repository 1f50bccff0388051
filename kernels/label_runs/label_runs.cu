// CUDA twin of `label_runs`. Each thread walks down a part of a column: once to count the runs that begin there and,
// when it is known how many begin before, to list them.
#include "../native/cuda_scan.h"
#include "label_runs.h"

namespace vidgraph {
namespace {

constexpr int kThreads = 128;
constexpr int kScanThreads = 1024;
constexpr int kPart = 64;  // rows

// A part of a column: parts of one column are adjacent.
struct ColumnPart {
  int64_t x, y, end, index;
};

// The part of this thread. One block for each part of each kThreads columns; x may lie beyond the map.
__device__ inline ColumnPart part_of_thread(const LabelMap& map) {
  const int64_t blocks = (map.width + kThreads - 1) / kThreads, parts = (map.height + kPart - 1) / kPart;
  const int64_t part = blockIdx.x / blocks, x = blockIdx.x % blocks * kThreads + threadIdx.x, y = part * kPart;
  return {x, y, y + kPart < map.height ? y + kPart : map.height, x * parts + part};
}

// Visits every pixel of a part at which a run begins.
template <typename Visit>
__device__ inline void for_each_start(const LabelMap& map, const ColumnPart& part, Visit visit) {
  const int64_t x = part.x;
  int32_t before = 0;
  if (part.y > 0) {
    before = map.labels[(part.y - 1) * map.width + x];
  } else if (x > 0) {
    before = map.labels[(map.height - 1) * map.width + x - 1];
  }
  for (int64_t y = part.y; y < part.end; ++y) {
    const int32_t label = map.labels[y * map.width + x];
    if (label != before || (x == 0 && y == 0)) visit(y, label);
    before = label;
  }
}

}  // namespace

// How many runs begin in each part of each column.
CUDA_KERNEL(kThreads) label_run_counts(LabelMap map, int64_t* counts) {
  const ColumnPart part = part_of_thread(map);
  if (part.x >= map.width) return;
  int64_t count = 0;
  for_each_start(map, part, [&](int64_t, int32_t) { ++count; });
  counts[part.index] = count;
}

// Puts the sum of all numbers before it in the place of each; their sum comes last: [count + 1]. One block.
CUDA_KERNEL(kScanThreads) label_run_offsets(int64_t* numbers, int64_t count) {
  __shared__ int64_t per_warp[kScanThreads / kWarpLanes];
  int64_t sum = 0;
  for (int64_t first = 0; first < count; first += kScanThreads) {
    const int64_t i = first + threadIdx.x;
    int64_t all = 0;
    const int64_t before = sum_before<kScanThreads>(i < count ? numbers[i] : 0, per_warp, &all);
    if (i < count) numbers[i] = sum + before;
    sum += all;
  }
  if (threadIdx.x == 0) numbers[count] = sum;
}

// Writes the labels of the runs and where they begin (column * height + row), those of a part from offsets[part] on.
CUDA_KERNEL(kThreads) label_run_starts(LabelMap map, const int64_t* offsets, int64_t* starts, int32_t* labels) {
  const ColumnPart part = part_of_thread(map);
  if (part.x >= map.width) return;
  int64_t at = offsets[part.index];
  for_each_start(map, part, [&](int64_t y, int32_t label) {
    starts[at] = part.x * map.height + y;
    labels[at++] = label;
  });
}

// Each run ends where the next one begins, the last one at `end`. One thread a run.
CUDA_KERNEL(kThreads) label_run_lengths(const int64_t* starts, int64_t count, int64_t end, int64_t* lengths) {
  const int64_t i = global_index();
  if (i < count) lengths[i] = (i + 1 < count ? starts[i + 1] : end) - starts[i];
}

}  // namespace vidgraph
