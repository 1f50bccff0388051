// CUDA twin of `nms`: boxes find their place by counting those before them, and one block suppresses in their order.
#include "../native/cuda_sort.h"
#include "cuda_suppress.h"

namespace vidgraph {
namespace {

constexpr int kSortThreads = 256;
constexpr int kThreads = 512;

}  // namespace

// Writes the boxes and their indices in the order of their scores. One thread a box.
CUDA_KERNEL(kSortThreads)
nms_sort(const float4* boxes, const float* scores, const int* known, int room, float4* sorted, int* order) {
  __shared__ uint64_t orders[kSortThreads];
  const int i = static_cast<int>(global_index()), count = static_cast<int>(counted(known, room));
  const uint64_t mine = i < count ? order_of(scores[i], i) : 0;
  int place = 0;
  for (int first = 0; first < count; first += kSortThreads) {
    const int here = count - first < kSortThreads ? count - first : kSortThreads;
    const int other = static_cast<int>(threadIdx.x);
    if (other < here) orders[other] = order_of(scores[first + other], first + other);
    __syncthreads();
    for (int j = 0; j < here; ++j) place += orders[j] > mine;
    __syncthreads();
  }
  if (i >= count) return;
  sorted[place] = boxes[i];
  order[place] = i;
}

// Writes the indices of the boxes that are kept, best first, at most `limit`, and how many. `dropped` [room] is scratch.
// One block.
CUDA_KERNEL(kThreads)
nms_suppress(const float4* sorted, const int* order, const int* known, int room, OverlapRule rule, int limit,
             uint8_t* dropped, int64_t* kept, int* kept_count) {
  __shared__ SuppressShared shared;
  __shared__ int per_warp[kThreads / kWarpLanes];
  const int count = static_cast<int>(counted(known, room));
  drop_overlapped<kThreads>(sorted, nullptr, count, rule, dropped, &shared);
  int found = 0;
  for (int first = 0; first < count && found < limit; first += kThreads) {
    const int i = first + static_cast<int>(threadIdx.x);
    const bool keep = i < count && !dropped[i];
    int total = 0;
    const int place = found + count_before<kThreads>(keep, per_warp, &total);
    if (keep && place < limit) kept[place] = order[i];
    found += total;
  }
  if (threadIdx.x == 0) *kept_count = found < limit ? found : limit;
}

}  // namespace vidgraph
