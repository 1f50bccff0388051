// CUDA twin of `class_nms`: all boxes in the order of their scores, suppressed by kept ones of their class.
#include "../native/cuda_sort.h"
#include "../nms/cuda_suppress.h"

namespace vidgraph {
namespace {

constexpr int kRankThreads = 256;
constexpr int kThreads = 512;

}  // namespace

// A NaN score has rank 0.
CUDA_KERNEL(kRankThreads) class_nms_ranks(const float* scores, const int* known, int room, uint64_t* ranks) {
  const int64_t i = global_index(), count = counted(known, room);
  if (i < count) ranks[i] = rank_or_none(scores[i], static_cast<uint32_t>(i));
}

// Boxes, classes and rows in the order of their ranks; those of rank 0 come nowhere, and `found` counts the others.
CUDA_KERNEL(kRankThreads)
class_nms_sort(const uint64_t* ranks, const float4* boxes, const int* class_ids, const int* known, int room,
               float4* sorted, int* groups, int* order, int* found) {
  __shared__ uint64_t tile[kRankThreads];
  const int i = static_cast<int>(global_index()), count = static_cast<int>(counted(known, room));
  const uint64_t mine = i < count ? ranks[i] : 0;
  int place = 0;
  for (int first = 0; first < count; first += kRankThreads) {
    const int here = count - first < kRankThreads ? count - first : kRankThreads;
    const int other = static_cast<int>(threadIdx.x);
    if (other < here) tile[other] = ranks[first + other];
    __syncthreads();
    for (int j = 0; j < here; ++j) place += tile[j] > mine;
    __syncthreads();
  }
  if (i >= count || mine == 0) return;
  sorted[place] = boxes[i];
  groups[place] = class_ids[i];
  order[place] = i;
  atomicAdd(found, 1);
}

// Writes the rows that are kept, best first, at most `limit`, and how many. `dropped` is scratch. One block.
CUDA_KERNEL(kThreads)
class_nms_suppress(const float4* sorted, const int* groups, const int* order, const int* found, OverlapRule rule,
                   int limit, uint8_t* dropped, int64_t* kept, int* kept_count) {
  __shared__ SuppressShared shared;
  __shared__ int per_warp[kThreads / kWarpLanes];
  const int count = *found;
  drop_overlapped<kThreads>(sorted, groups, count, rule, dropped, &shared);
  int taken = 0;
  for (int first = 0; first < count && taken < limit; first += kThreads) {
    const int i = first + static_cast<int>(threadIdx.x);
    const bool keep = i < count && !dropped[i];
    int total = 0;
    const int place = taken + count_before<kThreads>(keep, per_warp, &total);
    if (keep && place < limit) kept[place] = order[i];
    taken += total;
  }
  if (threadIdx.x == 0) *kept_count = taken < limit ? taken : limit;
}

}  // namespace vidgraph
