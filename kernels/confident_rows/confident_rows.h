// Softmax of rows of logits, and which rows are worth it.
#pragma once

#include "../native/exponential.h"

namespace vidgraph {

// Rows of logits, the background first. `stride` counts floats and may be negative.
struct LogitTable {
  const float* data;
  int64_t rows, stride;
  int columns;
};

namespace KERNEL_ISA {

// Even if all other classes had probability 0, softmax would give `logit` no more than the threshold that belongs to
// `cut`. False for NaN.
KERNEL_HD inline bool is_hopeless(float logit, float background, float cut) { return logit - background <= cut; }

}  // namespace KERNEL_ISA

// Floats of scratch memory for a row of `columns`.
inline size_t softmax_workspace(int columns) { return static_cast<size_t>(columns) + 32; }

// Rows that were found, in rising order.
struct ConfidentRows {
  int64_t* rows;
  float* best;    // the best score of each
  float* scores;  // [count][columns - 1], softmax of the foreground classes
  int64_t count;
};

// Appends the rows whose best foreground class exceeds `min_score` to `found`, which has room for all. `cut` is where
// `is_hopeless` begins, NaN for nowhere.
KERNEL_ENTRY(confident_rows, const LogitTable& table, float min_score, float cut, float* workspace,
             ConfidentRows* found)

}  // namespace vidgraph
