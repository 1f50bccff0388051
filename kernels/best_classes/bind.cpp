#include <nanobind/stl/optional.h>

#include <cmath>
#include <limits>
#include <optional>

#include "../native/binding.h"
#include "best_classes.h"

namespace vidgraph {
namespace {

// The margin is far above the rounding of the sigmoid, so only rows below the threshold go.
float cut_of(float min_score) {
  if (min_score >= 1.f) return std::numeric_limits<float>::infinity();
  if (!(min_score > 0.f)) return std::numeric_limits<float>::quiet_NaN();
  return static_cast<float>(std::log(min_score / (1. - min_score)) - 1e-3);
}

// Returns how many of the outputs count.
int64_t run(const AnyArray& table, const std::optional<AnyArray>& objectness, double min_score, bool sigmoid,
            Out<int64_t> rows, Out<int32_t> class_ids, Out<float> scores) {
  const auto threshold = static_cast<float>(min_score);
  const ScoreTable view{static_cast<const float*>(table.data()),
                        static_cast<int64_t>(table.shape(0)),
                        table.stride(0),
                        as_int(table.shape(1)),
                        table.stride(1),
                        objectness ? static_cast<const float*>(objectness->data()) : nullptr,
                        objectness ? objectness->stride(0) : 0};
  const ScoreRule rule{threshold, sigmoid, cut_of(threshold)};
  nb::gil_scoped_release released;
  const auto memory = workspace(sizeof(float) * best_classes_workspace(view.columns));
  BestClasses found{rows.data(), class_ids.data(), scores.data(), 0};
  KERNEL_CALL(best_classes)(view, rule, reinterpret_cast<float*>(memory.get()), &found);
  return found.count;
}

}  // namespace

void bind_best_classes(nb::module_& module) {
  module.def("best_classes", &run, nb::arg(), nb::arg().none(), nb::arg(), nb::arg(), nb::arg(), nb::arg(),
             nb::arg());
}

}  // namespace vidgraph
