// CPU twins of `ssd_priors`, `decode_boxes` and `decode_points`.
#include "ssd.h"

namespace vidgraph::KERNEL_ISA {

void ssd_priors_level(int height, int width, int stride, const double* anchors, int anchor_count, Prior* out) {
  const int rows = (height + stride - 1) / stride, columns = (width + stride - 1) / stride;
  for (int y = 0; y < rows; ++y) {
    for (int x = 0; x < columns; ++x) {
      for (int a = 0; a < anchor_count; ++a) *out++ = prior_at(y, x, stride, anchors[a], height, width);
    }
  }
}

void decode_boxes(const float* loc, const Prior* priors, int64_t count, float variance_centre, float variance_size,
                  Corners* out) {
  for (int64_t i = 0; i < count; ++i) out[i] = decode_box(loc + 4 * i, priors[i], variance_centre, variance_size);
}

void decode_points(const float* raw, const Prior* priors, int64_t count, int64_t points, float variance, Point* out) {
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t k = 0; k < points; ++k) {
      const int64_t at = i * points + k;
      out[at] = decode_point(raw + 2 * at, priors[i], variance);
    }
  }
}

}  // namespace vidgraph::KERNEL_ISA
