// Overlap of two boxes, on values.
#pragma once

#include "../native/kernel.h"

namespace vidgraph {

struct Box {
  float x1, y1, x2, y2;
};

namespace KERNEL_ISA {

KERNEL_HD inline float box_area(Box box, float plus_one) {
  return (box.x2 - box.x1 + plus_one) * (box.y2 - box.y1 + plus_one);
}

// Source: Jaccard index of axis-aligned boxes; `plus_one` is the legacy pixel convention (width = x2 - x1 + 1).
// The areas are those of `a` and `b`, given because they serve many pairs. NaN in a coordinate gives 0 or NaN,
// neither of which exceeds a threshold: such a box overlaps nothing.
KERNEL_HD inline float box_iou(Box a, float area_a, Box b, float area_b, float plus_one) {
  const float width = (a.x2 < b.x2 ? a.x2 : b.x2) - (a.x1 > b.x1 ? a.x1 : b.x1) + plus_one;
  const float height = (a.y2 < b.y2 ? a.y2 : b.y2) - (a.y1 > b.y1 ? a.y1 : b.y1) + plus_one;
  const float intersection = width * height;
  const float overlap = intersection / (area_a + area_b - intersection);
  return (width > 0.f) & (height > 0.f) ? overlap : 0.f;
}

}  // namespace KERNEL_ISA

// Greedy suppression of boxes sorted best first. `coordinates`: [5][count] x1, y1, x2, y2, and room for the areas;
// `dropped` [count]: out, 1 for a box that overlaps a kept one.
KERNEL_ENTRY(suppress, float* coordinates, int count, float max_iou, float plus_one, int32_t* dropped)

}  // namespace vidgraph
