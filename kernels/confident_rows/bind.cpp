#include <algorithm>
#include <cmath>
#include <limits>

#include "../native/binding.h"
#include "confident_rows.h"

namespace vidgraph {
namespace {

LogitTable table_of(const AnyArray& logits) {
  return {static_cast<const float*>(logits.data()), static_cast<int64_t>(logits.shape(0)), logits.stride(0),
          static_cast<int>(logits.shape(1))};
}

// The margin is far above the rounding of the comparison and of the exponentials, so only rows below the threshold go.
float cut_of(float min_score) {
  if (!(min_score > 0.f && min_score < 1.f)) return std::numeric_limits<float>::quiet_NaN();
  return static_cast<float>(std::log(min_score / (1. - min_score)) - 1e-3);
}

// Writes the rows in rising order and returns how many.
int64_t find(const AnyArray& logits, double min_score, int64_t limit, Out<int64_t> out) {
  const LogitTable table = table_of(logits);
  const auto threshold = static_cast<float>(min_score);
  nb::gil_scoped_release released;
  const auto memory = workspace(sizeof(float) * softmax_workspace(table.columns));
  const std::unique_ptr<float[]> best(new float[table.rows]);
  int64_t* rows = out.data();
  int64_t count = 0;
  KERNEL_CALL(find_confident)(table, threshold, cut_of(threshold), reinterpret_cast<float*>(memory.get()), rows,
                              best.get(), &count);
  if (limit >= count) return count;
  std::vector<int64_t> order(count);
  for (int64_t i = 0; i < count; ++i) order[i] = i;
  const auto before = [&](int64_t a, int64_t b) { return best[a] > best[b] || (best[a] == best[b] && a < b); };
  std::nth_element(order.begin(), order.begin() + limit, order.end(), before);
  std::sort(order.begin(), order.begin() + limit);
  for (int64_t i = 0; i < limit; ++i) rows[i] = rows[order[i]];
  return limit;
}

void softmax(const AnyArray& logits, In<int64_t> rows, Out<float> out) {
  const LogitTable table = table_of(logits);
  nb::gil_scoped_release released;
  const auto memory = workspace(sizeof(float) * softmax_workspace(table.columns));
  KERNEL_CALL(foreground_softmax)(table, rows.data(), static_cast<int64_t>(rows.shape(0)),
                                  reinterpret_cast<float*>(memory.get()), out.data());
}

}  // namespace

void bind_confident_rows(nb::module_& module) {
  module.def("confident_rows", &find);
  module.def("foreground_softmax", &softmax);
}

}  // namespace vidgraph
