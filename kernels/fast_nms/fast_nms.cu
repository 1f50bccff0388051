// CUDA twins of the three suppressions. Scores become ranks, a column a class; in each class, the best take part and are
// suppressed by one block; of what is left of all classes, the best are put in order.
#include "../native/cuda_sort.h"
#include "../nms/cuda_suppress.h"
#include "fast_nms.h"

namespace vidgraph {
namespace {

constexpr int kRankThreads = 256;
constexpr int kClassThreads = 256;
constexpr int kBestThreads = 1024;
constexpr int kPlaceThreads = 256;

}  // namespace

// `ranks` [classes][count]: of scores [count][classes] above `floor`, else 0. A score's index is class * count + row.
CUDA_KERNEL(kRankThreads)
fast_nms_ranks(const float* scores, int64_t count, int classes, float floor, uint64_t* ranks) {
  const int64_t i = global_index();
  if (i >= count * classes) return;
  const float score = scores[i % count * classes + i / count];
  ranks[i] = score > floor ? KERNEL_ISA::rank_of(score, static_cast<uint32_t>(i)) : 0;
}

// `ranks` [count]: of the best score of each row, the first of equal ones, if above `floor`, else 0; and its class.
CUDA_KERNEL(kRankThreads)
fast_nms_row_ranks(const float* scores, int64_t count, int classes, float floor, uint64_t* ranks, int* class_of) {
  const int64_t row = global_index();
  if (row >= count) return;
  const float* of_row = scores + row * classes;
  int best = 0;
  for (int c = 1; c < classes; ++c) best = of_row[c] > of_row[best] ? c : best;
  ranks[row] = of_row[best] > floor ? KERNEL_ISA::rank_of(of_row[best], static_cast<uint32_t>(row)) : 0;
  class_of[row] = best;
}

// One block a class: takes the `room` best of its ranks, in order, and leaves in `survivors` [classes][room] the ranks
// of those that no better one suppresses, else 0. `sorted` and `dropped` are scratch of as many boxes.
CUDA_KERNEL(kClassThreads)
fast_nms_classes(const uint64_t* ranks, int64_t count, int room, const float4* boxes, float scale_x, float scale_y,
                 OverlapRule rule, uint64_t* chosen, float4* sorted, uint8_t* dropped, uint64_t* survivors) {
  __shared__ SelectShared select;
  __shared__ SuppressShared suppress;
  __shared__ unsigned found;
  const int thread = static_cast<int>(threadIdx.x);
  const int64_t first = static_cast<int64_t>(blockIdx.x) * room;
  const uint64_t* mine = ranks + blockIdx.x * count;
  chosen += first, sorted += first, dropped += first, survivors += first;
  const int taken = static_cast<int>(choose_best<kClassThreads>(mine, count, room, &select, &found, chosen));
  for (int i = thread; i < taken; i += kClassThreads) {
    const int64_t place = place_among(chosen[i], chosen, taken);
    const float4 box = boxes[KERNEL_ISA::index_of_rank(chosen[i]) % count];
    sorted[place] = {box.x * scale_x, box.y * scale_y, box.z * scale_x, box.w * scale_y};
    survivors[place] = chosen[i];
  }
  for (int i = taken + thread; i < room; i += kClassThreads) survivors[i] = 0;
  drop_overlapped<kClassThreads>(sorted, nullptr, taken, rule, dropped, &suppress);
  for (int i = thread; i < taken; i += kClassThreads) {
    if (dropped[i]) survivors[i] = 0;
  }
}

// The `limit` best of `count` ranks, in no order, and how many there are. One block.
CUDA_KERNEL(kBestThreads)
fast_nms_best(const uint64_t* ranks, int64_t count, int64_t limit, uint64_t* best, int* found) {
  __shared__ SelectShared select;
  __shared__ unsigned taken;
  const unsigned chosen = choose_best<kBestThreads>(ranks, count, limit, &select, &taken, best);
  if (threadIdx.x == 0) *found = static_cast<int>(chosen);
}

// Puts detections in order. `class_of` may be null: the class is in the index, as fast_nms_ranks makes it.
CUDA_KERNEL(kPlaceThreads)
fast_nms_place(const uint64_t* best, const int* found, int64_t count, const int* class_of, int64_t* rows, int* classes,
               float* scores) {
  const int64_t i = global_index();
  if (i >= *found) return;
  const int64_t place = place_among(best[i], best, *found);
  const int64_t index = KERNEL_ISA::index_of_rank(best[i]);
  rows[place] = index % count;
  classes[place] = class_of ? class_of[index] : static_cast<int>(index / count);
  scores[place] = KERNEL_ISA::score_of_rank(static_cast<uint32_t>(best[i] >> 32));
}

}  // namespace vidgraph
