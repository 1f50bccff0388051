// CUDA twin of `nms`: boxes find their place by counting those before them, and one block suppresses in their order.
#include "../native/cuda.h"
#include "../native/exponential.h"
#include "nms.h"

namespace vidgraph {
namespace {

constexpr int kSortThreads = 256;
constexpr int kThreads = 512;
constexpr int kTile = 64;

// Larger for what comes first: the higher score, then the lower index; NaN comes last, zeros of both signs are equal.
__device__ inline uint64_t order_of(float score, int index) {
  const uint32_t bits = KERNEL_ISA::bits_of_float(score + 0.f);
  const uint32_t rising = bits ^ (bits >> 31 ? 0xffffffffu : 0x80000000u);
  return static_cast<uint64_t>(score == score ? rising : 0u) << 32 | static_cast<uint32_t>(~index);
}

}  // namespace

// Writes the boxes and their indices in the order of their scores. One thread a box.
CUDA_KERNEL(kSortThreads) nms_sort(const float4* boxes, const float* scores, int count, float4* sorted, int* order) {
  __shared__ uint64_t orders[kSortThreads];
  const int i = static_cast<int>(global_index());
  const uint64_t mine = i < count ? order_of(scores[i], i) : 0;
  int place = 0;
  for (int first = 0; first < count; first += kSortThreads) {
    const int other = first + static_cast<int>(threadIdx.x);
    orders[threadIdx.x] = other < count ? order_of(scores[other], other) : 0;
    __syncthreads();
    const int here = count - first < kSortThreads ? count - first : kSortThreads;
    for (int j = 0; j < here; ++j) place += orders[j] > mine;
    __syncthreads();
  }
  if (i >= count) return;
  sorted[place] = boxes[i];
  order[place] = i;
}

// Keeps the best box that is left and drops what overlaps it, in tiles: among the boxes of a tile one after the other,
// then all later boxes against those that were kept. `dropped` [count] is scratch. Writes the indices of the kept boxes,
// best first, and how many. One block.
CUDA_KERNEL(kThreads)
nms_suppress(const float4* sorted, const int* order, int count, float max_iou, float plus_one, uint8_t* dropped,
             long long* kept, int* kept_count) {
  __shared__ float4 tile[kTile];
  __shared__ float areas[kTile];
  __shared__ unsigned overlaps[kTile][kTile / kWarpLanes];  // with later boxes of the tile
  __shared__ unsigned alive[kTile / kWarpLanes];
  __shared__ int per_warp[kThreads / kWarpLanes];
  using namespace KERNEL_ISA;
  const auto box_of = [](float4 b) { return Box{b.x, b.y, b.z, b.w}; };
  const int thread = static_cast<int>(threadIdx.x);
  for (int i = thread; i < count; i += kThreads) dropped[i] = 0;
  int found = 0;
  for (int first = 0; first < count; first += kTile) {
    const int here = count - first < kTile ? count - first : kTile;
    __syncthreads();
    if (thread < kTile) {
      tile[thread] = thread < here ? sorted[first + thread] : float4{0.f, 0.f, 0.f, 0.f};
      areas[thread] = box_area(box_of(tile[thread]), plus_one);
      const unsigned lives = __ballot_sync(kAllLanes, thread < here && !dropped[first + thread]);
      if (thread % kWarpLanes == 0) alive[thread / kWarpLanes] = lives;
    }
    __syncthreads();
    for (int pair = thread; pair < kTile * kTile; pair += kThreads) {
      const int a = pair / kTile, b = pair % kTile;
      const float iou = box_iou(box_of(tile[a]), areas[a], box_of(tile[b]), areas[b], plus_one);
      const unsigned bits = __ballot_sync(kAllLanes, a < b && b < here && iou > max_iou);
      if (b % kWarpLanes == 0) overlaps[a][b / kWarpLanes] = bits;
    }
    __syncthreads();
    if (thread == 0) {
      for (int a = 0; a < here; ++a) {
        if (!(alive[a / kWarpLanes] >> a % kWarpLanes & 1u)) continue;
        for (int w = 0; w < kTile / kWarpLanes; ++w) alive[w] &= ~overlaps[a][w];
      }
    }
    __syncthreads();
    for (int i = first + kTile + thread; i < count; i += kThreads) {
      const Box box = box_of(sorted[i]);
      const float area = box_area(box, plus_one);
      bool drop = dropped[i];
      for (int a = 0; a < kTile && !drop; ++a) {
        if (!(alive[a / kWarpLanes] >> a % kWarpLanes & 1u)) continue;
        drop = box_iou(box_of(tile[a]), areas[a], box, area, plus_one) > max_iou;
      }
      dropped[i] = drop;
    }
    const bool keep = thread < kTile && (alive[thread / kWarpLanes] >> thread % kWarpLanes & 1u);
    int total = 0;
    const int before = count_before<kThreads>(keep, per_warp, &total);
    if (keep) kept[found + before] = order[first + thread];
    found += total;
  }
  if (thread == 0) *kept_count = found;
}

}  // namespace vidgraph
