#include <nanobind/stl/optional.h>

#include <optional>

#include "../native/binding.h"
#include "warp_features.h"

namespace vidgraph {
namespace {

void run(In<float> feature, In<float> flow, std::optional<In<float>> scale, std::optional<In<float>> bias,
         Out<float> out) {
  const auto channels = static_cast<int64_t>(feature.shape(0));
  const int height = as_int(feature.shape(1)), width = as_int(feature.shape(2));
  const int64_t pixels = static_cast<int64_t>(height) * width;
  const float *scales = scale ? scale->data() : nullptr, *biases = bias ? bias->data() : nullptr;
  nb::gil_scoped_release released;
  const std::unique_ptr<int32_t[]> index(new int32_t[4 * pixels]);
  const std::unique_ptr<float[]> weight(new float[4 * pixels]);
  const SampleTable table{index.get(), weight.get()};
  KERNEL_CALL(flow_samples)(flow.data(), height, width, table);
  KERNEL_CALL(warp_features)(feature.data(), table, channels, pixels, scales, biases, out.data());
}

}  // namespace

void bind_warp_features(nb::module_& module) {
  module.def("warp_features", &run, nb::arg(), nb::arg(), nb::arg().none(), nb::arg().none(), nb::arg());
}

}  // namespace vidgraph
