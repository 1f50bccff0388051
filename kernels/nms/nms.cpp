// CPU twin of `nms`: the boxes lie as columns of coordinates, and each kept box is compared with all after it.
#include "nms.h"

namespace vidgraph::KERNEL_ISA {

void suppress(float* coordinates, int count, float max_iou, float plus_one, int32_t* dropped) {
  const float *__restrict x1 = coordinates, *__restrict y1 = coordinates + count;
  const float *__restrict x2 = coordinates + 2 * static_cast<int64_t>(count);
  const float* __restrict y2 = coordinates + 3 * static_cast<int64_t>(count);
  float* __restrict areas = coordinates + 4 * static_cast<int64_t>(count);
  int32_t* __restrict drop = dropped;
  for (int i = 0; i < count; ++i) {
    areas[i] = box_area({x1[i], y1[i], x2[i], y2[i]}, plus_one);
    drop[i] = 0;
  }
  for (int i = 0; i < count; ++i) {
    if (drop[i]) continue;
    const Box kept{x1[i], y1[i], x2[i], y2[i]};
    const float area = areas[i];
    for (int j = i + 1; j < count; ++j) {
      drop[j] |= box_iou(kept, area, {x1[j], y1[j], x2[j], y2[j]}, areas[j], plus_one) > max_iou;
    }
  }
}

}  // namespace vidgraph::KERNEL_ISA
