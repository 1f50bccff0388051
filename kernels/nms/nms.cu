// CUDA twin of `nms`: boxes find their place by counting those before them, and one block suppresses in their order.
#include "../native/cuda_sort.h"
#include "cuda_suppress.h"

namespace vidgraph {
namespace {

constexpr int kSortThreads = 256;
constexpr int kThreads = 512;

}  // namespace

// Writes the boxes and their indices in the order of their scores. One thread a box.
CUDA_KERNEL(kSortThreads) nms_sort(const float4* boxes, const float* scores, int count, float4* sorted, int* order) {
  __shared__ uint64_t orders[kSortThreads];
  const int i = static_cast<int>(global_index());
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

// Writes the indices of the boxes that are kept, best first, and how many. `dropped` [count] is scratch. One block.
CUDA_KERNEL(kThreads)
nms_suppress(const float4* sorted, const int* order, int count, OverlapRule rule, uint8_t* dropped, int64_t* kept,
             int* kept_count) {
  __shared__ SuppressShared shared;
  __shared__ int per_warp[kThreads / kWarpLanes];
  drop_overlapped<kThreads>(sorted, nullptr, count, rule, dropped, &shared);
  int found = 0;
  for (int first = 0; first < count; first += kThreads) {
    const int i = first + static_cast<int>(threadIdx.x);
    const bool keep = i < count && !dropped[i];
    int total = 0;
    const int before = count_before<kThreads>(keep, per_warp, &total);
    if (keep) kept[found + before] = order[i];
    found += total;
  }
  if (threadIdx.x == 0) *kept_count = found;
}

}  // namespace vidgraph
