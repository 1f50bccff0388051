#include <algorithm>
#include <cstring>

#include "../native/binding.h"
#include "top_scores.h"

namespace vidgraph {
namespace {

// Candidates come from the scan; only they are sorted. Returns how many of `out` count.
int64_t run(const AnyArray& scores, double min_score, int64_t limit, Out<int64_t> out) {
  const auto* data = static_cast<const uint8_t*>(scores.data());
  const auto count = static_cast<int64_t>(scores.shape(0));
  const int64_t stride = scores.stride(0) * static_cast<int64_t>(sizeof(float));
  nb::gil_scoped_release released;
  int64_t found = 0;
  KERNEL_CALL(find_candidates)(data, count, stride, static_cast<float>(min_score), out.data(), &found);
  const auto score_at = [=](int64_t index) {
    float score;
    std::memcpy(&score, data + index * stride, sizeof(score));
    return score;
  };
  const auto before = [&](int64_t a, int64_t b) { return baseline::comes_before(score_at(a), a, score_at(b), b); };
  const int64_t wanted = std::min(found, limit);
  if (wanted < found) std::nth_element(out.data(), out.data() + wanted, out.data() + found, before);
  std::sort(out.data(), out.data() + wanted, before);
  return wanted;
}

}  // namespace

void bind_top_scores(nb::module_& module) { module.def("top_scores", &run); }

}  // namespace vidgraph
