// CPU twin of `confident_rows`: most rows are background and are left after one comparison for each class, without an
// exponential.
#include "confident_rows.h"

#include "../native/lanes.h"

namespace vidgraph::KERNEL_ISA {
namespace {

constexpr float kNothing = -__builtin_inff();  // its exponential adds nothing that a sum of at least 1 shows

struct Softmax {
  float sum, best;  // of the exponentials, and the largest one of a foreground class
};

template <int kColumns>
bool hopeful(const float* row, int columns, float cut) {
  const int count = kColumns ? kColumns : columns;
  const float background = row[0];
  int any = 0;
  for (int j = 1; j < count; ++j) any |= !is_hopeless(row[j], background, cut);
  return any;
}

inline float lane_maximum(const float* values, int padded) {
  float lanes[kLanes];
  for (int l = 0; l < kLanes; ++l) lanes[l] = values[l];
  for (int j = kLanes; j < padded; j += kLanes) {
    for (int l = 0; l < kLanes; ++l) lanes[l] = larger_of(values[j + l], lanes[l]);
  }
  return largest_of_lanes(lanes);
}

// Leaves exp(logit - maximum) of the foreground in `e`, which has room for whole lanes. The sum is NaN where a logit is
// NaN or +infinity, or all are -infinity.
inline Softmax exponentials(const float* row, int columns, float* __restrict e) {
  const int classes = columns - 1, padded = (classes + kLanes - 1) / kLanes * kLanes;
  std::memcpy(e, row + 1, sizeof(float) * classes);
  for (int j = classes; j < padded; ++j) e[j] = kNothing;
  const float best = lane_maximum(e, padded), maximum = larger_of(best, row[0]);
  float lanes[kLanes] = {};
  for (int j = 0; j < padded; j += kLanes) {
    for (int l = 0; l < kLanes; ++l) {
      e[j + l] = exp_float(e[j + l] - maximum);
      lanes[l] += e[j + l];
    }
  }
  return {sum_of_lanes(lanes) + exp_float(row[0] - maximum), exp_float(best - maximum)};
}

template <int kColumns>
void scan(const LogitTable& table, float min_score, float cut, float* workspace, ConfidentRows* found) {
  const int classes = table.columns - 1;
  for (int64_t i = 0; i < table.rows; ++i) {
    const float* row = table.data + i * table.stride;
    if (!hopeful<kColumns>(row, table.columns, cut)) continue;
    const Softmax row_of = exponentials(row, table.columns, workspace);
    const float score = row_of.best / row_of.sum;
    if (!(score > min_score)) continue;
    float* __restrict scores = found->scores + found->count * classes;
    for (int c = 0; c < classes; ++c) scores[c] = workspace[c] / row_of.sum;
    found->rows[found->count] = i;
    found->best[found->count++] = score;
  }
}

}  // namespace

void confident_rows(const LogitTable& table, float min_score, float cut, float* workspace, ConfidentRows* found) {
  if (table.columns == 81) return scan<81>(table, min_score, cut, workspace, found);
  if (table.columns == 41) return scan<41>(table, min_score, cut, workspace, found);
  scan<0>(table, min_score, cut, workspace, found);
}

}  // namespace vidgraph::KERNEL_ISA
