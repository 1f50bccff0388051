#include "../native/binding.h"
#include "label_runs.h"

namespace vidgraph {
namespace {

LabelMap map_of(const In<int32_t>& labels) {
  return {labels.data(), static_cast<int64_t>(labels.shape(0)), static_cast<int64_t>(labels.shape(1))};
}

void count(In<int32_t> labels, Out<int64_t> counts) {
  const LabelMap map = map_of(labels);
  nb::gil_scoped_release released;
  KERNEL_CALL(count_label_runs)(map, counts.data());
}

void list(In<int32_t> labels, Out<int64_t> next, Out<int64_t> starts, Out<int32_t> run_labels) {
  const LabelMap map = map_of(labels);
  nb::gil_scoped_release released;
  KERNEL_CALL(list_label_runs)(map, next.data(), starts.data(), run_labels.data());
}

}  // namespace

void bind_label_runs(nb::module_& module) {
  module.def("count_label_runs", &count);
  module.def("list_label_runs", &list);
}

}  // namespace vidgraph
