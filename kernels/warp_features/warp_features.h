// Features moved along a flow. Source: Liu et al., YolactEdge, ICRA 2021, and its code; sampling as torch's grid_sample
// (bilinear, zeros, align_corners=True).
#pragma once

#include <cmath>

#include "../native/kernel.h"

namespace vidgraph {

// The four neighbours of each target pixel and their weights, columns of `pixels`; weight 0 outside of the map.
struct SampleTable {
  int32_t* index;  // [4][pixels]
  float* weight;   // [4][pixels]
};

namespace KERNEL_ISA {

// Source pixel of target pixel `at` along an axis of `size` pixels. Flow is relative to the axis: 16 spans it.
KERNEL_HD inline float flow_target(int at, float flow, int size) {
  return static_cast<float>(at) + flow * (static_cast<float>(size - 1) / 16.f);
}

// The pixel at or before `position`; far outside, and for NaN, one whose neighbours are all outside.
KERNEL_HD inline int pixel_before(float position, int size) {
  if (!(position > -1.f && position < static_cast<float>(size))) return -2;
  return static_cast<int>(floorf(position));
}

KERNEL_HD inline bool is_inside(int x, int y, int width, int height) {
  return x >= 0 && x < width && y >= 0 && y < height;
}

}  // namespace KERNEL_ISA

// `flow` [2][height][width], x then y.
KERNEL_ENTRY(flow_samples, const float* flow, int height, int width, SampleTable table)
// `feature`, `scale`, `bias`, `out` [channels][pixels]; `scale` and `bias` may be null.
KERNEL_ENTRY(warp_features, const float* feature, SampleTable table, int64_t channels, int64_t pixels,
             const float* scale, const float* bias, float* out)

}  // namespace vidgraph
