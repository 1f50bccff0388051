// CUDA twins of `decode_boxes` and `decode_points`: a thread a box, a thread a point.
#include "../native/cuda.h"
#include "ssd.h"

namespace vidgraph {
namespace {

constexpr int kThreads = 256;

}  // namespace

CUDA_KERNEL(kThreads)
ssd_decode_boxes(const float* loc, const Prior* priors, int64_t count, float variance_centre, float variance_size,
                 Corners* out) {
  const int64_t i = global_index();
  if (i < count) out[i] = KERNEL_ISA::decode_box(loc + 4 * i, priors[i], variance_centre, variance_size);
}

CUDA_KERNEL(kThreads)
ssd_decode_points(const float* raw, const Prior* priors, int64_t count, int points, float variance, Point* out) {
  const int64_t i = global_index();
  if (i < count) out[i] = KERNEL_ISA::decode_point(raw + 2 * i, priors[i / points], variance);
}

}  // namespace vidgraph
