// SSD anchors and their decoding, on values. Source: Liu et al., ECCV 2016; biubug6/Pytorch_Retinaface for the order.
#pragma once

#include <cmath>

#include "../native/kernel.h"

namespace vidgraph {

struct Prior {
  float cx, cy, width, height;  // normalised to the input
};

struct Corners {
  float x1, y1, x2, y2;
};

struct Point {
  float x, y;
};

namespace KERNEL_ISA {

// In double and rounded once, as a tensor of Python floats is.
KERNEL_HD inline Prior prior_at(int y, int x, int stride, double anchor, int height, int width) {
  return {static_cast<float>((x + 0.5) * stride / width), static_cast<float>((y + 0.5) * stride / height),
          static_cast<float>(anchor / width), static_cast<float>(anchor / height)};
}

// The exponential is taken in double and rounded: the same float on every processor.
KERNEL_HD inline float exp_rounded(float value) { return static_cast<float>(exp(static_cast<double>(value))); }

KERNEL_HD inline Corners decode_box(const float* loc, Prior prior, float variance_centre, float variance_size) {
  const float cx = prior.cx + loc[0] * variance_centre * prior.width;
  const float cy = prior.cy + loc[1] * variance_centre * prior.height;
  const float width = prior.width * exp_rounded(loc[2] * variance_size);
  const float height = prior.height * exp_rounded(loc[3] * variance_size);
  const float x1 = cx - width / 2.f, y1 = cy - height / 2.f;
  return {x1, y1, x1 + width, y1 + height};
}

KERNEL_HD inline Point decode_point(const float* raw, Prior prior, float variance) {
  return {prior.cx + raw[0] * variance * prior.width, prior.cy + raw[1] * variance * prior.height};
}

}  // namespace KERNEL_ISA

KERNEL_ENTRY(ssd_priors_level, int height, int width, int stride, const double* anchors, int anchor_count, Prior* out)
KERNEL_ENTRY(decode_boxes, const float* loc, const Prior* priors, int64_t count, float variance_centre,
             float variance_size, Corners* out)
KERNEL_ENTRY(decode_points, const float* raw, const Prior* priors, int64_t count, int64_t points, float variance,
             Point* out)

}  // namespace vidgraph
