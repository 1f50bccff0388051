// CUDA twin of `top_scores`: ranks, the best of them, and their places.
#include "../native/cuda_sort.h"
#include "top_scores.h"

namespace vidgraph {
namespace {

constexpr int kRankThreads = 256;
constexpr int kBestThreads = 1024;
constexpr int kPlaceThreads = 256;

}  // namespace

// `stride` counts floats and may be negative. A score that is no candidate has rank 0.
CUDA_KERNEL(kRankThreads)
top_scores_ranks(const float* scores, const int* known, int64_t room, int64_t stride, float min_score,
                 uint64_t* ranks) {
  const int64_t i = global_index(), count = counted(known, room);
  if (i >= count) return;
  const float score = scores[i * stride];
  ranks[i] = KERNEL_ISA::is_candidate(score, min_score) ? rank_or_none(score, static_cast<uint32_t>(i)) : 0;
}

// One block.
CUDA_KERNEL(kBestThreads)
top_scores_best(const uint64_t* ranks, const int* known, int64_t room, int64_t limit, uint64_t* best, int* found) {
  __shared__ SelectShared select;
  __shared__ unsigned taken;
  const int64_t count = counted(known, room);
  const unsigned chosen = choose_best<kBestThreads>(ranks, count, limit, &select, &taken, best);
  if (threadIdx.x == 0) *found = static_cast<int>(chosen);
}

CUDA_KERNEL(kPlaceThreads) top_scores_place(const uint64_t* best, const int* found, int64_t* order) {
  const int64_t i = global_index();
  if (i >= *found) return;
  order[place_among(best[i], best, *found)] = index_of(best[i]);
}

}  // namespace vidgraph
