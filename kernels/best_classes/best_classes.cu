// CUDA twin of `best_classes`: a thread a row finds its class, then one block puts the rows that count one after another.
#include "../native/cuda.h"
#include "best_classes.h"

namespace vidgraph {
namespace {

constexpr int kRowThreads = 256;
constexpr int kThreads = 1024;

}  // namespace

// `scores` [rows]: NaN where the row does not count.
CUDA_KERNEL(kRowThreads)
best_classes_rows(ScoreTable table, float min_score, int sigmoid, int* class_ids, float* scores) {
  const int64_t i = global_index();
  if (i >= table.rows) return;
  const float* row = table.data + i * table.row_stride;
  float best = row[0];
  int class_id = 0;
  bool missing = best != best;
  for (int c = 1; c < table.columns; ++c) {
    const float value = row[c * table.column_stride];
    missing |= value != value;
    if (value > best) {
      best = value;
      class_id = c;
    }
  }
  const float objectness = table.objectness ? table.objectness[i * table.objectness_stride] : 1.f;
  const float score = KERNEL_ISA::row_score(best, objectness, sigmoid != 0);
  class_ids[i] = class_id;
  scores[i] = !missing && score > min_score ? score : KERNEL_ISA::float_of_bits(0x7fc00000u);
}

// One block.
CUDA_KERNEL(kThreads)
best_classes_found(const float* scores, const int* class_ids, int64_t count, int64_t* rows, int* found_classes,
                   float* found_scores, int* found) {
  __shared__ int per_warp[kThreads / kWarpLanes];
  int taken = 0;
  for (int64_t first = 0; first < count; first += kThreads) {
    const int64_t i = first + threadIdx.x;
    const float score = i < count ? scores[i] : KERNEL_ISA::float_of_bits(0x7fc00000u);
    int total = 0;
    const int place = taken + count_before<kThreads>(score == score, per_warp, &total);
    if (score == score) {
      rows[place] = i;
      found_classes[place] = class_ids[i];
      found_scores[place] = score;
    }
    taken += total;
  }
  if (threadIdx.x == 0) *found = taken;
}

}  // namespace vidgraph
