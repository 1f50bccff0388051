// CPU twin of the three suppressions.
#include "fast_nms.h"

namespace vidgraph::KERNEL_ISA {
namespace {

constexpr int kLanes = 16;

struct Columns {
  float *x1, *y1, *x2, *y2, *areas;
};

Columns columns_of(const SuppressorLists& lists, int64_t group) {
  float* first = lists.columns + group * 5 * lists.capacity;
  return {first, first + lists.capacity, first + 2 * lists.capacity, first + 3 * lists.capacity,
          first + 4 * lists.capacity};
}

template <bool kInclusive>
bool overlaps_any(const Columns& list, int64_t count, Box box, const Suppression& rule) {
  const float area = box_area(box, rule.plus_one), max_iou = rule.max_iou, plus_one = rule.plus_one;
  for (int64_t start = 0; start < count; start += kLanes) {
    const float *x1 = list.x1 + start, *y1 = list.y1 + start, *x2 = list.x2 + start, *y2 = list.y2 + start;
    const float* areas = list.areas + start;
    int any = 0;
    for (int l = 0; l < kLanes; ++l) {
      const float overlap = box_iou({x1[l], y1[l], x2[l], y2[l]}, areas[l], box, area, plus_one);
      any |= kInclusive ? overlap >= max_iou : overlap > max_iou;
    }
    if (any) return true;
  }
  return false;
}

// Lanes beyond the end hold NaN, which overlaps nothing.
void append(const Columns& list, int64_t at, Box box, float plus_one) {
  if (at % kLanes == 0) {
    for (int l = 0; l < kLanes; ++l) {
      list.x1[at + l] = list.y1[at + l] = list.x2[at + l] = list.y2[at + l] = list.areas[at + l] = __builtin_nanf("");
    }
  }
  list.x1[at] = box.x1;
  list.y1[at] = box.y1;
  list.x2[at] = box.x2;
  list.y2[at] = box.y2;
  list.areas[at] = box_area(box, plus_one);
}

}  // namespace

void scores_between(const float* scores, int64_t count, int classes, float low, float high, uint64_t* ranks,
                    int64_t* found) {
  int64_t kept = 0;
  for (int64_t row = 0; row < count; ++row) {
    const float* scores_of = scores + row * classes;
    int any = 0;
    for (int c = 0; c < classes; ++c) any |= (scores_of[c] > low) & (scores_of[c] <= high);
    if (!any) continue;
    for (int c = 0; c < classes; ++c) {
      if (!((scores_of[c] > low) & (scores_of[c] <= high))) continue;
      ranks[kept++] = rank_of(scores_of[c], static_cast<uint32_t>(c * count + row));
    }
  }
  *found = kept;
}

void best_classes(const float* scores, int64_t count, int classes, float* best, int32_t* best_class) {
  for (int64_t row = 0; row < count; ++row) {
    const float* scores_of = scores + row * classes;
    int first = 0;
    for (int c = 1; c < classes; ++c) first = scores_of[c] > scores_of[first] ? c : first;
    best[row] = scores_of[first];
    best_class[row] = first;
  }
}

void suppress_in_order(const uint64_t* ranks, int64_t count, const Box* boxes, int64_t group_rows,
                       const Suppression& rule, const SuppressorLists& lists, DetectionList* detections) {
  for (int64_t i = 0; i < count && detections->count < rule.limit; ++i) {
    const int64_t index = index_of_rank(ranks[i]), group = index / group_rows;
    if (lists.seen[group] >= rule.top_k) continue;
    ++lists.seen[group];
    const Box box = boxes[index % group_rows];
    const Columns list = columns_of(lists, group);
    const int64_t listed = lists.listed[group];
    const bool dropped =
        rule.inclusive ? overlaps_any<true>(list, listed, box, rule) : overlaps_any<false>(list, listed, box, rule);
    if (!dropped) detections->index[detections->count++] = index;
    if (dropped && rule.kept_only) continue;
    append(list, listed, box, rule.plus_one);
    ++lists.listed[group];
  }
}

}  // namespace vidgraph::KERNEL_ISA
