// CUDA twin of `confident_rows`: a warp a row takes its softmax, then one block chooses the best rows and a warp a chosen
// row writes its scores.
#include "../native/cuda_sort.h"
#include "../native/lanes.h"
#include "confident_rows.h"

namespace vidgraph {
namespace {

constexpr int kRowThreads = 256;
constexpr int kThreads = 1024;

constexpr int kSumLanes = KERNEL_ISA::kLanes;

struct RowSoftmax {
  float maximum, best, sum;  // of the logits; the largest exponential of a foreground class; the sum of all
};

// The lanes of a warp add up what those of the CPU twin do, in its order, which sum_of_lanes has.
__device__ inline float sum_of_warp(float value) {
  value += __shfl_xor_sync(kAllLanes, value, 8, kSumLanes);
  value += __shfl_xor_sync(kAllLanes, value, 4, kSumLanes);
  value += __shfl_xor_sync(kAllLanes, value, 2, kSumLanes);
  return value + __shfl_xor_sync(kAllLanes, value, 1, kSumLanes);
}

__device__ inline float largest_of_warp(float value) {
  for (int by = kSumLanes / 2; by > 0; by /= 2) {
    value = KERNEL_ISA::larger_of(value, __shfl_xor_sync(kAllLanes, value, by, kSumLanes));
  }
  return value;
}

// Both halves of the warp do the same.
__device__ inline RowSoftmax softmax_of(const float* row, int columns) {
  using namespace KERNEL_ISA;
  const int lane = static_cast<int>(threadIdx.x) % kSumLanes, classes = columns - 1;
  const float nothing = float_of_bits(0xff800000u);
  float largest = lane < classes ? row[1 + lane] : nothing;
  for (int c = lane + kSumLanes; c < classes; c += kSumLanes) largest = larger_of(row[1 + c], largest);
  largest = largest_of_warp(largest);
  const float maximum = larger_of(largest, row[0]);
  float sum = 0.f;
  for (int first = 0; first < classes; first += kSumLanes) {
    const int c = first + lane;
    sum += exp_float((c < classes ? row[1 + c] : nothing) - maximum);
  }
  return {maximum, exp_float(largest - maximum), sum_of_warp(sum) + exp_float(row[0] - maximum)};
}

}  // namespace

// `ranks` [rows]: of the best softmax of a foreground class above `min_score`, else 0. A warp a row.
CUDA_KERNEL(kRowThreads)
confident_rows_ranks(const float* logits, int64_t rows, int64_t stride, int columns, float min_score, float cut,
                     uint64_t* ranks) {
  const int64_t i = global_index() / kWarpLanes;
  if (i >= rows) return;
  const float* row = logits + i * stride;
  const int lane = static_cast<int>(threadIdx.x) % kWarpLanes;
  const float background = row[0];
  bool hopeful = false;
  for (int c = 1 + lane; c < columns; c += kWarpLanes) hopeful |= !KERNEL_ISA::is_hopeless(row[c], background, cut);
  uint64_t rank = 0;
  if (__any_sync(kAllLanes, hopeful)) {
    const RowSoftmax softmax = softmax_of(row, columns);
    const float score = softmax.best / softmax.sum;
    if (score > min_score) rank = rank_or_none(score, static_cast<uint32_t>(i));
  }
  if (lane == 0) ranks[i] = rank;
}

// The `limit` rows of the best ranks, in rising order, and how many there are. One block.
CUDA_KERNEL(kThreads)
confident_rows_best(const uint64_t* ranks, int64_t count, int64_t limit, int64_t* rows, int* found) {
  __shared__ SelectShared select;
  __shared__ int per_warp[kThreads / kWarpLanes];
  const uint64_t least = least_of_best<kThreads>([=](int64_t i) { return ranks[i]; }, count, limit, &select);
  int taken = 0;
  for (int64_t first = 0; first < count; first += kThreads) {
    const int64_t i = first + threadIdx.x;
    const bool keep = i < count && ranks[i] >= least;
    int total = 0;
    const int place = taken + count_before<kThreads>(keep, per_warp, &total);
    if (keep) rows[place] = i;
    taken += total;
  }
  if (threadIdx.x == 0) *found = taken;
}

// The softmax of the foreground classes of chosen rows, a warp a row; warps take turns.
CUDA_KERNEL(kRowThreads)
confident_rows_scores(const float* logits, int64_t stride, int columns, const int64_t* rows, const int* found,
                      float* scores) {
  const int64_t count = *found;
  for (int64_t i = global_index() / kWarpLanes; i < count; i += grid_step() / kWarpLanes) {
    const float* row = logits + rows[i] * stride;
    const RowSoftmax softmax = softmax_of(row, columns);
    const int classes = columns - 1;
    for (int c = static_cast<int>(threadIdx.x) % kWarpLanes; c < classes; c += kWarpLanes) {
      scores[i * classes + c] = KERNEL_ISA::exp_float(row[1 + c] - softmax.maximum) / softmax.sum;
    }
  }
}

}  // namespace vidgraph
