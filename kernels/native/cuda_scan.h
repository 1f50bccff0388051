// Running sums, for one block of threads.
#pragma once

#include "cuda.h"

namespace vidgraph {

// The sum of the numbers of all threads before this one in the block, and in `total` that of all. All threads call it,
// with room for a number per warp.
template <int kThreads>
__device__ inline int64_t sum_before(int64_t number, int64_t* per_warp, int64_t* total) {
  const int thread = threadIdx.x, warp = thread / kWarpLanes, lane = thread % kWarpLanes;
  int64_t sum = number;
  for (int apart = 1; apart < kWarpLanes; apart *= 2) {
    const int64_t lower = __shfl_up_sync(kAllLanes, sum, apart);
    if (lane >= apart) sum += lower;
  }
  if (lane == kWarpLanes - 1) per_warp[warp] = sum;
  __syncthreads();
  int64_t before = sum - number, all = 0;
  for (int w = 0; w < kThreads / kWarpLanes; ++w) {
    before += w < warp ? per_warp[w] : 0;
    all += per_warp[w];
  }
  *total = all;
  __syncthreads();
  return before;
}

}  // namespace vidgraph
