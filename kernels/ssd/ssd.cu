// CUDA twins of `decode_boxes` and `decode_points`: a thread a box, a thread a point.
#include "../native/cuda.h"
#include "ssd.h"

namespace vidgraph {

// Where a point of the input lies in the frame, rounded after each step as on the host. Not `used`: it stays as it is.
struct FrameMap {
  int used;
  Point size, scale, offset;
};

namespace {

constexpr int kThreads = 256;

__device__ inline Point mapped(Point point, const FrameMap& map) {
  if (!map.used) return point;
  return {point.x * map.size.x * map.scale.x + map.offset.x, point.y * map.size.y * map.scale.y + map.offset.y};
}

}  // namespace

// `rows` [room]: which prior is that of each box; null: they are in the same order.
CUDA_KERNEL(kThreads)
ssd_decode_boxes(const float* loc, const Prior* priors, const int64_t* rows, const int* known, int64_t room,
                 float variance_centre, float variance_size, FrameMap map, Corners* out) {
  const int64_t count = counted(known, room);
  for (int64_t i = global_index(); i < count; i += grid_step()) {
    const Corners box =
        KERNEL_ISA::decode_box(loc + 4 * i, priors[rows ? rows[i] : i], variance_centre, variance_size);
    const Point low = mapped({box.x1, box.y1}, map), high = mapped({box.x2, box.y2}, map);
    out[i] = {low.x, low.y, high.x, high.y};
  }
}

// `points` for each of `room` priors.
CUDA_KERNEL(kThreads)
ssd_decode_points(const float* raw, const Prior* priors, const int64_t* rows, const int* known, int64_t room,
                  int points, float variance, FrameMap map, Point* out) {
  const int64_t count = counted(known, room) * points;
  for (int64_t i = global_index(); i < count; i += grid_step()) {
    const int64_t row = i / points;
    out[i] = mapped(KERNEL_ISA::decode_point(raw + 2 * i, priors[rows ? rows[row] : row], variance), map);
  }
}

}  // namespace vidgraph
