// Suppression of boxes in order, by one block of threads: tile by tile, first among the boxes of a tile, then all later
// boxes against those of the tile. It begins with a barrier where there are boxes, and ends with one.
#pragma once

#include "../native/cuda.h"
#include "nms.h"

namespace vidgraph {

constexpr int kTile = 64, kTileWords = kTile / kWarpLanes;

// How one kind of suppression differs from another.
struct OverlapRule {
  float max_iou;
  float plus_one;  // the legacy pixel convention, see box_iou
  int inclusive;   // an overlap of exactly max_iou suppresses
  int kept_only;   // only boxes that were kept suppress others (greedy)
};

struct SuppressShared {
  float4 boxes[kTile];
  float areas[kTile];
  int groups[kTile];
  unsigned overlaps[kTile][kTileWords];  // with later boxes of the tile
  unsigned alive[kTileWords], suppresses[kTileWords];
};

__device__ inline Box box_of(float4 b) { return Box{b.x, b.y, b.z, b.w}; }

__device__ inline bool suppresses(Box a, float area_a, Box b, float area_b, const OverlapRule& rule) {
  const float iou = KERNEL_ISA::box_iou(a, area_a, b, area_b, rule.plus_one);
  return rule.inclusive ? iou >= rule.max_iou : iou > rule.max_iou;
}

__device__ inline bool bit_of(const unsigned* words, int bit) { return words[bit / kWarpLanes] >> bit % kWarpLanes & 1u; }

// Sets `dropped[i]` for each box that a better one of its group suppresses. `groups` may be null: all are one.
template <int kThreads>
__device__ inline void drop_overlapped(const float4* sorted, const int* groups, int count, const OverlapRule& rule,
                                       uint8_t* dropped, SuppressShared* shared) {
  static_assert(kThreads >= kTile && kThreads % kWarpLanes == 0);
  const int thread = static_cast<int>(threadIdx.x);
  for (int i = thread; i < count; i += kThreads) dropped[i] = 0;
  for (int first = 0; first < count; first += kTile) {
    const int here = count - first < kTile ? count - first : kTile;
    __syncthreads();
    if (thread < kTile) {
      const bool there = thread < here;
      shared->boxes[thread] = there ? sorted[first + thread] : float4{0.f, 0.f, 0.f, 0.f};
      shared->areas[thread] = KERNEL_ISA::box_area(box_of(shared->boxes[thread]), rule.plus_one);
      shared->groups[thread] = there && groups ? groups[first + thread] : 0;
      const unsigned lives = __ballot_sync(kAllLanes, there && !dropped[first + thread]);
      const unsigned present = __ballot_sync(kAllLanes, there);
      if (thread % kWarpLanes == 0) {
        shared->alive[thread / kWarpLanes] = lives;
        shared->suppresses[thread / kWarpLanes] = present;
      }
    }
    __syncthreads();
    for (int pair = thread; pair < kTile * kTile; pair += kThreads) {
      const int a = pair / kTile, b = pair % kTile;
      const bool drops = a < b && shared->groups[a] == shared->groups[b] &&
                         suppresses(box_of(shared->boxes[a]), shared->areas[a], box_of(shared->boxes[b]),
                                    shared->areas[b], rule);
      const unsigned bits = __ballot_sync(kAllLanes, drops);
      if (b % kWarpLanes == 0) shared->overlaps[a][b / kWarpLanes] = bits;
    }
    __syncthreads();
    if (thread == 0) {
      for (int a = 0; a < here; ++a) {
        if (rule.kept_only && !bit_of(shared->alive, a)) continue;
        for (int w = 0; w < kTileWords; ++w) shared->alive[w] &= ~shared->overlaps[a][w];
      }
      for (int w = 0; rule.kept_only && w < kTileWords; ++w) shared->suppresses[w] = shared->alive[w];
    }
    __syncthreads();
    if (thread < here) dropped[first + thread] = !bit_of(shared->alive, thread);
    for (int i = first + kTile + thread; i < count; i += kThreads) {
      if (dropped[i]) continue;
      const Box box = box_of(sorted[i]);
      const float area = KERNEL_ISA::box_area(box, rule.plus_one);
      const int group = groups ? groups[i] : 0;
      bool drop = false;
      for (int a = 0; a < kTile && !drop; ++a) {
        drop = bit_of(shared->suppresses, a) && shared->groups[a] == group &&
               suppresses(box_of(shared->boxes[a]), shared->areas[a], box, area, rule);
      }
      if (drop) dropped[i] = 1;
    }
  }
  __syncthreads();
}

}  // namespace vidgraph
