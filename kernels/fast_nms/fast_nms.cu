// CUDA twins of the three suppressions. Scores become ranks, a column a class; in each class, the best take part and are
// suppressed by one block, which adds what is left to that of all classes; of these, the best are put in order.
#include "../native/cuda_sort.h"
#include "../nms/cuda_suppress.h"
#include "fast_nms.h"

namespace vidgraph {

// Scores [room][stride], of which the first rows count: see `counted`. `columns` [classes]: which of them are looked at,
// in this order; null: all. A score's index is class * room + row, the class being a place in `columns`.
struct ScoreColumns {
  const float* scores;
  const int* known;
  int64_t room;
  int stride, classes;
  const int* columns;
};

namespace {

constexpr int kRankThreads = 256;
constexpr int kClassThreads = 256;
constexpr int kBestThreads = 1024;
constexpr int kPlaceThreads = 256;

}  // namespace

// `ranks` [classes][room]: of scores above `floor`, else 0.
CUDA_KERNEL(kRankThreads) fast_nms_ranks(ScoreColumns table, float floor, uint64_t* ranks) {
  const int64_t count = counted(table.known, table.room);
  for (int64_t at = global_index(); at < count * table.classes; at += grid_step()) {
    const int64_t row = at % count, place = at / count, index = place * table.room + row;
    const float score = table.scores[row * table.stride + (table.columns ? table.columns[place] : place)];
    ranks[index] = score > floor ? KERNEL_ISA::rank_of(score, static_cast<uint32_t>(index)) : 0;
  }
}

// `ranks` [room]: of the best score of each row, the first of equal ones, if above `floor`, else 0; and its column.
CUDA_KERNEL(kRankThreads)
fast_nms_row_ranks(const float* scores, const int* known, int64_t room, int columns, float floor, uint64_t* ranks,
                   int* class_of) {
  const int64_t count = counted(known, room);
  for (int64_t row = global_index(); row < count; row += grid_step()) {
    const float* of_row = scores + row * columns;
    int best = 0;
    for (int c = 1; c < columns; ++c) best = of_row[c] > of_row[best] ? c : best;
    ranks[row] = of_row[best] > floor ? KERNEL_ISA::rank_of(of_row[best], static_cast<uint32_t>(row)) : 0;
    class_of[row] = best;
  }
}

// One block a class: takes the `limit` best of its ranks [classes][room], in order, and adds those that no better one
// suppresses to `left`, which `left_count` counts. `class_of` [room], where it is not null, is the class of each row, of
// which only those in `wanted` are added. `chosen`, `sorted_ranks`, `sorted` and `dropped` are scratch for `limit` boxes
// of each class.
CUDA_KERNEL(kClassThreads)
fast_nms_classes(const uint64_t* ranks, const int* known, int64_t room, int limit, const float4* boxes, float scale_x,
                 float scale_y, OverlapRule rule, const int* class_of, const int* wanted, int wanted_count,
                 uint64_t* chosen, uint64_t* sorted_ranks, float4* sorted, uint8_t* dropped, uint64_t* left,
                 int* left_count) {
  __shared__ SelectShared select;
  __shared__ SuppressShared suppress;
  __shared__ unsigned found;
  const int thread = static_cast<int>(threadIdx.x);
  const int64_t first = static_cast<int64_t>(blockIdx.x) * limit, count = counted(known, room);
  const uint64_t* mine = ranks + blockIdx.x * room;
  chosen += first, sorted_ranks += first, sorted += first, dropped += first;
  const int taken = static_cast<int>(choose_best<kClassThreads>(mine, count, limit, &select, &found, chosen));
  for (int i = thread; i < taken; i += kClassThreads) {
    const int64_t place = place_among(chosen[i], chosen, taken);
    const float4 box = boxes[KERNEL_ISA::index_of_rank(chosen[i]) % room];
    sorted[place] = {box.x * scale_x, box.y * scale_y, box.z * scale_x, box.w * scale_y};
    sorted_ranks[place] = chosen[i];
  }
  drop_overlapped<kClassThreads>(sorted, nullptr, taken, rule, dropped, &suppress);
  for (int i = thread; i < taken; i += kClassThreads) {
    if (dropped[i]) continue;
    const int64_t row = KERNEL_ISA::index_of_rank(sorted_ranks[i]);
    if (wanted && !is_among(class_of[row], wanted, wanted_count)) continue;
    left[atomicAdd(left_count, 1)] = sorted_ranks[i];
  }
}

// The `limit` best of the ranks that are left, in no order, and how many there are. One block.
CUDA_KERNEL(kBestThreads)
fast_nms_best(const uint64_t* left, const int* left_count, int64_t limit, uint64_t* best, int* found) {
  __shared__ SelectShared select;
  __shared__ unsigned taken;
  const unsigned chosen = choose_best<kBestThreads>(left, *left_count, limit, &select, &taken, best);
  if (threadIdx.x == 0) *found = static_cast<int>(chosen);
}

// Puts detections in order. `class_of` may be null: the class is in the index, as fast_nms_ranks makes it, and is a place
// in `columns` where that is not null.
CUDA_KERNEL(kPlaceThreads)
fast_nms_place(const uint64_t* best, const int* found, int64_t room, const int* class_of, const int* columns,
               int64_t* rows, int* classes, float* scores) {
  const int64_t i = global_index();
  if (i >= *found) return;
  const int64_t place = place_among(best[i], best, *found);
  const int64_t index = KERNEL_ISA::index_of_rank(best[i]);
  const int class_id = class_of ? class_of[index] : static_cast<int>(index / room);
  rows[place] = index % room;
  classes[place] = columns ? columns[class_id] : class_id;
  scores[place] = KERNEL_ISA::score_of_rank(static_cast<uint32_t>(best[i] >> 32));
}

}  // namespace vidgraph
