#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

#include "../native/binding.h"
#include "confident_rows.h"

namespace vidgraph {
namespace {

// The margin is far above the rounding of the comparison and of the exponentials, so only rows below the threshold go.
float cut_of(float min_score) {
  if (!(min_score > 0.f && min_score < 1.f)) return std::numeric_limits<float>::quiet_NaN();
  return static_cast<float>(std::log(min_score / (1. - min_score)) - 1e-3);
}

// Moves the `limit` best rows to the front, still in rising order.
void keep_best(ConfidentRows* found, int64_t limit, int classes) {
  const float* best = found->best;
  std::vector<int64_t> order(found->count);
  std::iota(order.begin(), order.end(), 0);
  const auto before = [=](int64_t a, int64_t b) { return best[a] > best[b] || (best[a] == best[b] && a < b); };
  std::nth_element(order.begin(), order.begin() + limit, order.end(), before);
  std::sort(order.begin(), order.begin() + limit);
  for (int64_t i = 0; i < limit; ++i) {
    found->rows[i] = found->rows[order[i]];
    std::memmove(found->scores + i * classes, found->scores + order[i] * classes, sizeof(float) * classes);
  }
  found->count = limit;
}

// Returns how many of the outputs count.
int64_t run(const AnyArray& logits, double min_score, int64_t limit, Out<int64_t> rows, Out<float> scores) {
  const LogitTable table{static_cast<const float*>(logits.data()), static_cast<int64_t>(logits.shape(0)),
                         logits.stride(0), as_int(logits.shape(1))};
  const auto threshold = static_cast<float>(min_score);
  nb::gil_scoped_release released;
  const auto memory = workspace(sizeof(float) * softmax_workspace(table.columns));
  const std::unique_ptr<float[]> best(new float[table.rows]);
  ConfidentRows found{rows.data(), best.get(), scores.data(), 0};
  KERNEL_CALL(confident_rows)(table, threshold, cut_of(threshold), reinterpret_cast<float*>(memory.get()), &found);
  if (limit < found.count) keep_best(&found, limit, table.columns - 1);
  return found.count;
}

}  // namespace

void bind_confident_rows(nb::module_& module) { module.def("confident_rows", &run); }

}  // namespace vidgraph
