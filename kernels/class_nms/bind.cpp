#include <algorithm>
#include <unordered_map>

#include "../fast_nms/fast_nms.h"
#include "../native/binding.h"
#include "class_nms.h"

namespace vidgraph {
namespace {

constexpr int64_t kFirstPart = 1024;  // boxes; many calls end within them

// Numbers the classes in the order in which they come.
class Groups {
 public:
  int64_t of(int32_t class_id) {
    if (class_id == last_) return last_group_;
    last_ = class_id;
    return last_group_ = numbers_.try_emplace(class_id, static_cast<int64_t>(numbers_.size())).first->second;
  }
  size_t count() const { return numbers_.size(); }

 private:
  std::unordered_map<int32_t, int64_t> numbers_;
  int64_t last_ = INT64_MAX, last_group_ = -1;  // no class has that number
};

std::vector<uint64_t> ranks_of(const float* scores, int64_t count) {
  std::vector<uint64_t> ranks;
  ranks.reserve(count);
  for (int64_t row = 0; row < count; ++row) {
    const float score = scores[row] + 0.f;  // -0 is as good as 0
    if (score == score) ranks.push_back(baseline::rank_of(score, static_cast<uint32_t>(row)));
  }
  return ranks;
}

// Writes the kept rows to `out`, best first. Returns how many. The order is made part by part, each twice as long as
// the one before, as the limit is mostly reached early.
int64_t run(In<float> boxes, In<float> scores, In<int32_t> class_ids, double max_iou, int64_t limit, Out<int64_t> out) {
  const auto* box = reinterpret_cast<const Box*>(boxes.data());
  const int32_t* ids = class_ids.data();
  nb::gil_scoped_release released;
  std::vector<uint64_t> ranks = ranks_of(scores.data(), as_int(scores.shape(0)));
  const auto total = static_cast<int64_t>(ranks.size());
  const std::unique_ptr<KeptBlock[]> blocks(new KeptBlock[std::min(limit, total)]);
  std::vector<int64_t> newest, rows(total), of(total);
  KeptBoxes kept{blocks.get(), 0, nullptr, out.data(), 0};
  Groups groups;
  int64_t part = kFirstPart;
  for (int64_t start = 0; start < total && kept.count < limit; start += part, part = start) {
    const auto first = ranks.begin() + start, end = ranks.begin() + std::min(start + part, total);
    if (end != ranks.end()) std::nth_element(first, end, ranks.end(), std::greater<uint64_t>());
    std::sort(first, end, std::greater<uint64_t>());
    const int64_t count = end - first;
    for (int64_t i = 0; i < count; ++i) {
      rows[i] = baseline::index_of_rank(first[i]);
      of[i] = groups.of(ids[rows[i]]);
    }
    newest.resize(groups.count(), -1);
    kept.newest = newest.data();
    KERNEL_CALL(keep_by_class)(rows.data(), of.data(), count, box, static_cast<float>(max_iou), limit, &kept);
  }
  return kept.count;
}

}  // namespace

void bind_class_nms(nb::module_& module) { module.def("class_nms", &run); }

}  // namespace vidgraph
