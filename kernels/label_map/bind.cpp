#include <algorithm>

#include "../native/binding.h"
#include "label_map.h"

namespace vidgraph {
namespace {

// The table of one axis, and its memory.
class Axis {
 public:
  Axis(int logits, int pixels, double start, double end)
      : pixels_(pixels), cells_(pixels + kLabelOverrun), low_(cells_.size()), high_(cells_.size()) {
    const baseline::LabelResize resize{logits, static_cast<float>(start * logits),
                                       static_cast<float>((end - start) * logits / pixels)};
    for (int i = 0; i < pixels; ++i) {
      const auto mixture = resize.at(i);
      cells_[i] = mixture.cell;
      low_[i] = mixture.low;
      high_[i] = mixture.high;
    }
    std::fill(cells_.begin() + pixels, cells_.end(), cells_[pixels - 1]);
  }

  LabelAxis table() const { return {cells_.data(), low_.data(), high_.data(), pixels_}; }

 private:
  int pixels_;
  std::vector<int32_t> cells_;
  std::vector<float> low_, high_;
};

// `window`: x1, y1, x2, y2, relative to the logits.
void run(const AnyArray& logits, std::array<double, 4> window, int32_t first, Out<int32_t> labels,
         Out<int64_t> counts) {
  const LogitMap map{static_cast<const float*>(logits.data()), logits.stride(0),
                     logits.stride(1),                         logits.stride(2),
                     as_int(logits.shape(0)),                  as_int(logits.shape(1)),
                     as_int(logits.shape(2))};
  nb::gil_scoped_release released;
  const Axis columns(map.width, as_int(labels.shape(1)), window[0], window[2]);
  const Axis rows(map.height, as_int(labels.shape(0)), window[1], window[3]);
  const auto memory = workspace(label_workspace(map));
  std::fill_n(counts.data(), map.classes, 0);
  const LabelPicture picture{labels.data(), counts.data(), first};
  KERNEL_CALL(label_map)(map, columns.table(), rows.table(), memory.get(), picture);
}

}  // namespace

void bind_label_map(nb::module_& module) { module.def("label_map", &run); }

}  // namespace vidgraph
