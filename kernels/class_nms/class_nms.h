// Greedy suppression among boxes of one class each.
// Source: Felzenszwalb et al., PAMI 2010.
#pragma once

#include "../nms/nms.h"

namespace vidgraph {

constexpr int kBlockBoxes = 16;

// Kept boxes of one class, as many as are compared at once. Places that are not taken hold NaN, which overlaps nothing.
struct KeptBlock {
  float x1[kBlockBoxes], y1[kBlockBoxes], x2[kBlockBoxes], y2[kBlockBoxes], areas[kBlockBoxes];
  int64_t before;  // the block of the same class that was filled before this one, or -1
  int64_t taken;
};

// What has been kept so far. There is room for as many blocks as boxes that may be kept.
struct KeptBoxes {
  KeptBlock* blocks;
  int64_t block_count;
  int64_t* newest;  // [groups], the block that is being filled, or -1
  int64_t* rows;    // best first
  int64_t count;
};

// Keeps or drops `count` boxes, best first, until `limit` are kept. `rows` say which; `groups` [count] are their classes.
KERNEL_ENTRY(keep_by_class, const int64_t* rows, const int64_t* groups, int64_t count, const Box* boxes, float max_iou,
             int64_t limit, KeptBoxes* kept)

}  // namespace vidgraph
