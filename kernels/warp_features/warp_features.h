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

// The same of one pixel.
struct Samples {
  int32_t index[4];
  float weight[4];
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

KERNEL_HD inline Samples samples_of(int x, int y, float flow_x, float flow_y, int width, int height) {
  const float source_x = flow_target(x, flow_x, width), source_y = flow_target(y, flow_y, height);
  const int left = pixel_before(source_x, width), top = pixel_before(source_y, height);
  const float right_share = source_x - static_cast<float>(left), low_share = source_y - static_cast<float>(top);
  const float shares_x[] = {1.f - right_share, right_share}, shares_y[] = {1.f - low_share, low_share};
  Samples samples;
  for (int corner = 0; corner < 4; ++corner) {
    const int from_x = left + corner % 2, from_y = top + corner / 2;
    const bool inside = is_inside(from_x, from_y, width, height);
    samples.index[corner] = inside ? from_y * width + from_x : 0;
    samples.weight[corner] = inside ? shares_x[corner % 2] * shares_y[corner / 2] : 0.f;
  }
  return samples;
}

}  // namespace KERNEL_ISA

// `flow` [2][height][width], x then y.
KERNEL_ENTRY(flow_samples, const float* flow, int height, int width, SampleTable table)
// `feature`, `scale`, `bias`, `out` [channels][pixels]; `scale` and `bias` may be null.
KERNEL_ENTRY(warp_features, const float* feature, SampleTable table, int64_t channels, int64_t pixels,
             const float* scale, const float* bias, float* out)

}  // namespace vidgraph
