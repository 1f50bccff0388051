#include <algorithm>
#include <limits>

#include "../native/binding.h"
#include "fast_nms.h"

namespace vidgraph {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Scores {
  const float* data;
  int64_t count;
  int classes;
  float floor;  // scores must be greater
};

// Suppressors of each group, empty.
class Lists {
 public:
  Lists(int64_t groups, int64_t longest)
      : counts_(2 * groups), capacity_((longest + 15) / 16 * 16), columns_(new float[groups * 5 * capacity_]) {}

  SuppressorLists view() {
    return {columns_.get(), counts_.data(), counts_.data() + counts_.size() / 2, capacity_};
  }

 private:
  std::vector<int64_t> counts_;
  int64_t capacity_;
  std::unique_ptr<float[]> columns_;
};

// Where to cut the scores so that about so many lie above: a histogram of some rows, in steps of an eighth of an
// octave. It decides about speed only, not about results.
class ScoreBands {
 public:
  explicit ScoreBands(const Scores& scores) : step_(std::max<int64_t>(1, scores.count / 128)), sizes_(4096) {
    for (int64_t row = 0; row < scores.count; row += step_) {
      const float* of = scores.data + row * scores.classes;
      for (int c = 0; c < scores.classes; ++c) ++sizes_[baseline::rank_of_score(of[c]) >> 20];
    }
  }

  // Lower edge of the band that begins at the last one and holds about `wanted` scores, not below `floor`.
  float next(int64_t wanted, float floor) {
    int64_t held = 0;
    while (next_ > 0 && held < wanted) held += sizes_[--next_] * step_;
    const float edge = baseline::score_of_rank(static_cast<uint32_t>(next_) << 20);
    return next_ > 0 && edge > floor ? edge : floor;
  }

 private:
  int64_t step_;
  std::vector<uint32_t> sizes_;
  int next_ = 4096;
};

// Every class is a group. The best scores are sorted band by band until there are enough detections.
DetectionList per_class(const Scores& scores, const Box* boxes, const Suppression& rule, int64_t* index) {
  const int64_t wanted_in_list = rule.kept_only ? rule.limit : rule.top_k;
  Lists lists(scores.classes, std::min(scores.count, wanted_in_list));
  const std::unique_ptr<uint64_t[]> ranks(new uint64_t[scores.count * scores.classes]);
  ScoreBands bands(scores);
  DetectionList detections{index, 0};
  int64_t wanted = 8 * rule.limit;
  for (float high = kInfinity; detections.count < rule.limit && high > scores.floor; wanted *= 2) {
    const float low = bands.next(wanted, scores.floor);
    int64_t found = 0;
    KERNEL_CALL(scores_between)(scores.data, scores.count, scores.classes, low, high, ranks.get(), &found);
    std::sort(ranks.get(), ranks.get() + found, std::greater<uint64_t>());
    KERNEL_CALL(suppress_in_order)(ranks.get(), found, boxes, scores.count, rule, lists.view(), &detections);
    high = low;
  }
  return detections;
}

// All rows are one group, each with its best class, which takes the place of the row's index.
DetectionList best_class(const Scores& scores, const Box* boxes, const Suppression& rule, int64_t* index) {
  std::vector<float> best(scores.count);
  std::vector<int32_t> classes(scores.count);
  KERNEL_CALL(best_classes)(scores.data, scores.count, scores.classes, best.data(), classes.data());
  std::vector<uint64_t> ranks;
  for (int64_t row = 0; row < scores.count; ++row) {
    if (best[row] > scores.floor) ranks.push_back(baseline::rank_of(best[row], static_cast<uint32_t>(row)));
  }
  const auto count = std::min(static_cast<int64_t>(ranks.size()), rule.top_k);
  std::partial_sort(ranks.begin(), ranks.begin() + count, ranks.end(), std::greater<uint64_t>());
  Lists lists(1, count);
  DetectionList detections{index, 0};
  KERNEL_CALL(suppress_in_order)(ranks.data(), count, boxes, scores.count, rule, lists.view(), &detections);
  for (int64_t i = 0; i < detections.count; ++i) index[i] += scores.count * classes[index[i]];
  return detections;
}

// `flags`: (legacy widths, inclusive, kept only, best class only). Returns how many of the outputs count.
int64_t run(In<float> boxes, In<float> scores, double max_iou, int64_t top_k, int64_t limit, double floor,
            std::array<bool, 4> flags, Out<int64_t> rows, Out<int32_t> classes, Out<float> out) {
  const Scores table{scores.data(), static_cast<int64_t>(scores.shape(0)), as_int(scores.shape(1)),
                     static_cast<float>(floor)};
  const Suppression rule{top_k, limit, static_cast<float>(max_iou), flags[0] ? 1.f : 0.f, flags[1], flags[2]};
  const auto* box = reinterpret_cast<const Box*>(boxes.data());
  nb::gil_scoped_release released;
  const auto suppress = flags[3] ? best_class : per_class;
  const DetectionList detections = suppress(table, box, rule, rows.data());
  for (int64_t i = 0; i < detections.count; ++i) {
    const int64_t class_id = rows.data()[i] / table.count, row = rows.data()[i] % table.count;
    rows.data()[i] = row;
    classes.data()[i] = static_cast<int32_t>(class_id);
    out.data()[i] = table.data[row * table.classes + class_id];
  }
  return detections.count;
}

}  // namespace

void bind_fast_nms(nb::module_& module) { module.def("fast_nms", &run); }

}  // namespace vidgraph
