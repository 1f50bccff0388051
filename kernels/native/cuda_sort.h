// What a score is worth in an order, for kernels that sort.
#pragma once

#include "cuda_select.h"
#include "exponential.h"

namespace vidgraph {

// Larger for what comes first: the higher score, then the lower index; NaN comes last. Zeros of both signs are equal.
__device__ inline uint64_t order_of(float score, uint32_t index) {
  const uint32_t bits = KERNEL_ISA::bits_of_float(score + 0.f);
  const uint32_t rising = bits ^ (bits >> 31 ? 0xffffffffu : 0x80000000u);
  return static_cast<uint64_t>(score == score ? rising : 0u) << 32 | static_cast<uint32_t>(~index);
}

// The same, and 0 for NaN.
__device__ inline uint64_t rank_or_none(float score, uint32_t index) {
  return score == score ? order_of(score, index) : 0;
}

__device__ inline uint32_t index_of(uint64_t rank) { return ~static_cast<uint32_t>(rank); }

// Writes the ranks of the `limit` best of `count`, in no order, and gives how many there are to all threads of the block.
template <int kThreads>
__device__ inline unsigned choose_best(const uint64_t* ranks, int64_t count, int64_t limit, SelectShared* shared,
                                       unsigned* taken, uint64_t* best) {
  if (threadIdx.x == 0) *taken = 0;
  const uint64_t least = least_of_best<kThreads>([=](int64_t i) { return ranks[i]; }, count, limit, shared);
  for (int64_t i = threadIdx.x; i < count; i += kThreads) {
    if (ranks[i] >= least) best[atomicAdd(taken, 1u)] = ranks[i];
  }
  __syncthreads();
  return *taken;
}

}  // namespace vidgraph
