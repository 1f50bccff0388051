#include <algorithm>
#include <numeric>

#include "../native/binding.h"
#include "nms.h"

namespace vidgraph {
namespace {

// Sorts, suppresses, and writes the kept indices to `out`, best first. Returns how many.
int64_t run(In<float> boxes, In<float> scores, double max_iou, bool legacy, Out<int64_t> out) {
  const auto* box = reinterpret_cast<const Box*>(boxes.data());
  const float* score = scores.data();
  const int count = as_int(scores.shape(0));
  nb::gil_scoped_release released;
  std::vector<int> order(count);
  std::iota(order.begin(), order.end(), 0);
  const auto before = [=](int a, int b) {  // NaN comes last
    return score[a] > score[b] || (score[b] != score[b] && score[a] == score[a]);
  };
  std::stable_sort(order.begin(), order.end(), before);
  std::vector<float> columns(static_cast<size_t>(count) * 5);
  for (int i = 0; i < count; ++i) {
    const Box b = box[order[i]];
    const float values[] = {b.x1, b.y1, b.x2, b.y2};
    for (size_t c = 0; c < 4; ++c) columns[c * count + i] = values[c];
  }
  std::vector<int32_t> dropped(count);
  KERNEL_CALL(suppress)(columns.data(), count, static_cast<float>(max_iou), legacy ? 1.f : 0.f, dropped.data());
  int64_t kept = 0;
  for (int i = 0; i < count; ++i) {
    if (!dropped[i]) out.data()[kept++] = order[i];
  }
  return kept;
}

}  // namespace

void bind_nms(nb::module_& module) { module.def("nms", &run); }

}  // namespace vidgraph
