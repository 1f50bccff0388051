// The best of many things, each known by a rank: larger for what comes first, no two alike, 0 for what does not count.
// For one block of threads.
#pragma once

#include "cuda.h"

namespace vidgraph {

constexpr int kDigitBits = 8, kDigits = 1 << kDigitBits;

struct SelectShared {
  unsigned histogram[kDigits];
  uint64_t prefix;
  unsigned wanted;
  int settled;
};

// The least rank that is among the `limit` best; 1 where no more than `limit` count, and the largest number for a limit
// of 0. `rank_of(i)` gives the rank of thing i. All threads call it, once with the
// same shared memory, and get the answer.
//
// Source: radix selection, digit by digit from the top (Alabi et al., Fast K-selection Algorithms for GPUs, 2012).
template <int kThreads, class RankOf>
__device__ inline uint64_t least_of_best(RankOf rank_of, int64_t count, int64_t limit, SelectShared* shared) {
  static_assert(kThreads >= kDigits);
  const int thread = static_cast<int>(threadIdx.x);
  if (limit <= 0) return ~uint64_t{0};
  if (thread == 0) {
    shared->prefix = 0;
    shared->wanted = static_cast<unsigned>(limit < count ? limit : count);
    shared->settled = 0;
  }
  for (int shift = 64 - kDigitBits; shift >= 0; shift -= kDigitBits) {
    if (thread < kDigits) shared->histogram[thread] = 0;
    __syncthreads();
    const uint64_t prefix = shared->prefix, known = shift == 64 - kDigitBits ? 0 : ~uint64_t{0} << (shift + kDigitBits);
    for (int64_t i = thread; i < count; i += kThreads) {
      const uint64_t rank = rank_of(i);
      if (rank != 0 && (rank & known) == prefix) atomicAdd(&shared->histogram[rank >> shift & (kDigits - 1)], 1u);
    }
    __syncthreads();
    if (thread == 0) {
      unsigned above = 0, wanted = shared->wanted;
      int digit = kDigits - 1;
      while (digit > 0 && above + shared->histogram[digit] < wanted) above += shared->histogram[digit--];
      shared->prefix = prefix | static_cast<uint64_t>(digit) << shift;
      shared->wanted = wanted - above;
      shared->settled = above + shared->histogram[digit] <= wanted;  // all that are left count
    }
    __syncthreads();
    if (shared->settled) break;
  }
  return shared->prefix ? shared->prefix : 1;
}

// How many of `ranks` come before `rank`: its place in their order.
__device__ inline int64_t place_among(uint64_t rank, const uint64_t* ranks, int64_t count) {
  int64_t place = 0;
  for (int64_t i = 0; i < count; ++i) place += ranks[i] > rank;
  return place;
}

}  // namespace vidgraph
