// The three suppressions of YOLACT as one walk: best score first over all classes, each box against those before it.
#pragma once

#include "../native/exponential.h"
#include "../nms/nms.h"

namespace vidgraph {

// How one kind of suppression differs from another.
struct Suppression {
  int64_t top_k;     // how many boxes of a group take part
  int64_t limit;     // how many detections are wanted
  float max_iou;
  float plus_one;    // the legacy pixel convention, see box_iou
  bool inclusive;    // an overlap of exactly max_iou suppresses
  bool kept_only;    // only boxes that were kept suppress others (greedy)
};

// The boxes of each group that suppress others, as columns of coordinates and areas.
struct SuppressorLists {
  float* columns;    // [groups][5][capacity]
  int64_t* listed;   // [groups], boxes in the list
  int64_t* seen;     // [groups], boxes that took part
  int64_t capacity;  // a multiple of sixteen
};

struct DetectionList {
  int64_t* index;  // [limit], place in the table of scores
  int64_t count;
};

namespace KERNEL_ISA {

// Rising with the score, for all finite scores.
KERNEL_HD inline uint32_t rank_of_score(float score) {
  const uint32_t bits = bits_of_float(score);
  return bits ^ (bits >> 31 ? 0xffffffffu : 0x80000000u);
}

KERNEL_HD inline float score_of_rank(uint32_t rank) {
  return float_of_bits(rank ^ (rank >> 31 ? 0x80000000u : 0xffffffffu));
}

// Larger for what comes first: the higher score, then the lower index.
KERNEL_HD inline uint64_t rank_of(float score, uint32_t index) {
  return static_cast<uint64_t>(rank_of_score(score)) << 32 | static_cast<uint32_t>(~index);
}

KERNEL_HD inline uint32_t index_of_rank(uint64_t rank) { return ~static_cast<uint32_t>(rank); }

}  // namespace KERNEL_ISA

// Ranks of the scores in (low, high], in no order. A score's index is class * count + row. `ranks` may be as long as
// the table.
KERNEL_ENTRY(scores_between, const float* scores, int64_t count, int classes, float low, float high, uint64_t* ranks,
             int64_t* found)
// The best class of each row, the first of equal ones.
KERNEL_ENTRY(best_classes, const float* scores, int64_t count, int classes, float* best, int32_t* best_class)
// Goes on through boxes in order of falling rank. `group_rows`: how many indices belong to one group.
KERNEL_ENTRY(suppress_in_order, const uint64_t* ranks, int64_t count, const Box* boxes, int64_t group_rows,
             const Suppression& rule, const SuppressorLists& lists, DetectionList* detections)

}  // namespace vidgraph
