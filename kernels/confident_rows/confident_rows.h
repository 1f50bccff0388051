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

// Writes the rows whose best foreground class exceeds `min_score` in rising order, and that best score. `cut` is where
// `is_hopeless` begins, NaN for nowhere. `found` and `best` may be as long as the table.
KERNEL_ENTRY(find_confident, const LogitTable& table, float min_score, float cut, float* workspace, int64_t* found,
             float* best, int64_t* found_count)
// Writes the softmax of the foreground classes of `count` rows, [count][columns - 1].
KERNEL_ENTRY(foreground_softmax, const LogitTable& table, const int64_t* rows, int64_t count, float* workspace,
             float* out)

}  // namespace vidgraph
