// The best class of each row of a table of scores, and which rows are worth it.
#pragma once

#include "../native/exponential.h"

namespace vidgraph {

// Scores [rows][columns], at least one column; strides count floats and may be negative.
struct ScoreTable {
  const float* data;
  int64_t rows, row_stride;
  int columns;
  int64_t column_stride;
  const float* objectness;  // [rows], a factor of each row's score; null for none
  int64_t objectness_stride;
};

struct ScoreRule {
  float min_score;
  bool sigmoid;
  float cut;  // with `sigmoid`: no value up to this one can give a score above `min_score`; NaN for none
};

// Rows that were found, in rising order.
struct BestClasses {
  int64_t* rows;
  int32_t* class_ids;
  float* scores;
  int64_t count;
};

namespace KERNEL_ISA {

KERNEL_HD inline float row_score(float best, float objectness, bool sigmoid) {
  return (sigmoid ? 1.f / (1.f + exp_float(-best)) : best) * objectness;
}

}  // namespace KERNEL_ISA

constexpr int kScoreBlock = 1024;  // rows that are looked at together where the numbers of a column are adjacent

// Floats of scratch memory for rows of `columns`.
inline size_t best_classes_workspace(int columns) { return static_cast<size_t>(columns) + 2 * kScoreBlock; }

// Appends the rows whose best class is above the rule's threshold to `found`, which has room for all.
KERNEL_ENTRY(best_classes, const ScoreTable& table, const ScoreRule& rule, float* workspace, BestClasses* found)

}  // namespace vidgraph
