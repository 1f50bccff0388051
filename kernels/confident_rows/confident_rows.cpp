// CPU twin of `confident_rows`: most rows are background and are left after one comparison for each class, without an
// exponential.
#include "confident_rows.h"

namespace vidgraph::KERNEL_ISA {
namespace {

constexpr int kLanes = 16;
constexpr float kLowest = -3.402823466e38f;

struct Softmax {
  float sum, best;  // of the exponentials, and the largest one of a foreground class
};

float larger(float a, float b) { return a > b ? a : b; }

template <int kColumns>
bool hopeful(const float* row, int columns, float cut) {
  const int count = kColumns ? kColumns : columns;
  const float background = row[0];
  int any = 0;
  for (int j = 1; j < count; ++j) any |= !is_hopeless(row[j], background, cut);
  return any;
}

// Maximum and sum run in sixteen lanes, so that every variant adds in the same order.
float lane_maximum(const float* values, int padded) {
  float lanes[kLanes];
  for (int l = 0; l < kLanes; ++l) lanes[l] = values[l];
  for (int j = kLanes; j < padded; j += kLanes) {
    for (int l = 0; l < kLanes; ++l) lanes[l] = larger(lanes[l], values[j + l]);
  }
  for (int half = kLanes / 2; half; half /= 2) {
    for (int l = 0; l < half; ++l) lanes[l] = larger(lanes[l], lanes[l + half]);
  }
  return lanes[0];
}

float lane_sum(const float* values, int padded) {
  float lanes[kLanes] = {};
  for (int j = 0; j < padded; j += kLanes) {
    for (int l = 0; l < kLanes; ++l) lanes[l] += values[j + l];
  }
  for (int half = kLanes / 2; half; half /= 2) {
    for (int l = 0; l < half; ++l) lanes[l] += lanes[l + half];
  }
  return lanes[0];
}

// Leaves exp(logit - maximum) in `e`. The sum is NaN where a logit is NaN or +infinity, or all are -infinity.
Softmax exponentials(const float* row, int columns, float* __restrict e) {
  const int padded = (columns + kLanes - 1) / kLanes * kLanes;
  for (int j = 0; j < columns; ++j) e[j] = row[j];
  for (int j = columns; j < padded; ++j) e[j] = kLowest;
  const float maximum = lane_maximum(e, padded);
  for (int j = 0; j < columns; ++j) e[j] = exp_float(row[j] - maximum);
  for (int j = columns; j < padded; ++j) e[j] = 0.f;
  const float sum = lane_sum(e, padded), background = e[0];
  e[0] = 0.f;
  const float best = lane_maximum(e, padded);
  e[0] = background;
  return {sum, best};
}

template <int kColumns>
int64_t scan(const LogitTable& table, float min_score, float cut, float* workspace, int64_t* found, float* best) {
  int64_t kept = 0;
  for (int64_t i = 0; i < table.rows; ++i) {
    const float* row = table.data + i * table.stride;
    if (!hopeful<kColumns>(row, table.columns, cut)) continue;
    const Softmax row_of = exponentials(row, table.columns, workspace);
    const float score = row_of.best / row_of.sum;
    if (!(score > min_score)) continue;
    found[kept] = i;
    best[kept++] = score;
  }
  return kept;
}

}  // namespace

void find_confident(const LogitTable& table, float min_score, float cut, float* workspace, int64_t* found, float* best,
                    int64_t* found_count) {
  *found_count = table.columns == 81   ? scan<81>(table, min_score, cut, workspace, found, best)
                 : table.columns == 41 ? scan<41>(table, min_score, cut, workspace, found, best)
                                       : scan<0>(table, min_score, cut, workspace, found, best);
}

void foreground_softmax(const LogitTable& table, const int64_t* rows, int64_t count, float* workspace, float* out) {
  for (int64_t i = 0; i < count; ++i) {
    const Softmax row_of = exponentials(table.data + rows[i] * table.stride, table.columns, workspace);
    float* __restrict scores = out + i * (table.columns - 1);
    for (int j = 1; j < table.columns; ++j) scores[j - 1] = workspace[j] / row_of.sum;
  }
}

}  // namespace vidgraph::KERNEL_ISA
