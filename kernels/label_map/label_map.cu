// CUDA twin of `label_map`. A thread goes down a column of the frame, and takes rows between the same two rows of
// logits together: each class is widened once for all of them.
#include "../native/cuda.h"
#include "../native/exponential.h"
#include "label_map.h"

namespace vidgraph {
namespace {

using namespace KERNEL_ISA;

constexpr int kThreads = 128;  // columns of the frame
constexpr int kStrip = 16;     // rows that a thread goes down
constexpr int kTogether = 4;

// The logits around one column of the frame, between two rows of them, of class 0.
struct LogitColumn {
  const float *upper, *lower;
  int64_t right;  // from the left ones to the right ones
  LabelMixture columns;
};

__device__ inline LogitColumn logits_around(const LogitMap& logits, LabelMixture columns, int row) {
  const float* upper = logits.data + row * logits.row_stride + columns.cell * logits.column_stride;
  return {upper, row + 1 < logits.height ? upper + logits.row_stride : upper,
          columns.cell + 1 < logits.width ? logits.column_stride : 0, columns};
}

// The best classes of kRows pixels below one another. A comparison with NaN is false, so it is never best.
template <int kRows>
__device__ inline void find_best(const LogitMap& logits, const LogitColumn& column, const LabelMixture* rows,
                                 int* labels) {
  float best[kRows];
  for (int r = 0; r < kRows; ++r) {
    best[r] = float_of_bits(0xff800000u);  // -infinity
    labels[r] = 0;
  }
  const float *upper = column.upper, *lower = column.lower, low = column.columns.low, high = column.columns.high;
  for (int c = 0; c < logits.classes; ++c, upper += logits.class_stride, lower += logits.class_stride) {
    const float above = low * upper[0] + high * upper[column.right];
    const float below = low * lower[0] + high * lower[column.right];
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const float value = rows[r].low * above + rows[r].high * below;
      const bool better = value > best[r];
      best[r] = better ? value : best[r];
      labels[r] = better ? c : labels[r];
    }
  }
}

// Counts the classes of a warp's pixels. Neighbours are mostly of one class, so few additions reach memory.
class ClassCounter {
 public:
  __device__ explicit ClassCounter(unsigned long long* counts) : counts_(counts) {}

  // All lanes call it, those with a pixel and those without.
  __device__ void add(int label, bool has_pixel) {
    unsigned left = __ballot_sync(kAllLanes, has_pixel);
    while (left) {
      const int shown = __shfl_sync(kAllLanes, label, __ffs(static_cast<int>(left)) - 1);
      const unsigned same = __ballot_sync(kAllLanes, has_pixel && label == shown);
      if (shown != label_) flush();
      label_ = shown;
      count_ += __popc(same);
      left &= ~same;
    }
  }

  __device__ void flush() {
    if (count_ > 0 && threadIdx.x % kWarpLanes == 0) atomicAdd(counts_ + label_, count_);
    count_ = 0;
  }

 private:
  unsigned long long* counts_;
  int label_ = 0;  // as in all lanes
  unsigned long long count_ = 0;
};

}  // namespace

// Writes labels [height][width] and adds to counts [classes]. One block for each strip of each kThreads columns.
CUDA_KERNEL(kThreads)
label_pixels(LogitMap logits, LabelResize columns, LabelResize rows, int height, int width, int first, int* labels,
             unsigned long long* counts) {
  const int blocks = (width + kThreads - 1) / kThreads;
  const int x = static_cast<int>(blockIdx.x) % blocks * kThreads + static_cast<int>(threadIdx.x);
  const int start = static_cast<int>(blockIdx.x) / blocks * kStrip;
  const int end = start + kStrip < height ? start + kStrip : height;
  const bool has_pixel = x < width;
  const LabelMixture at = columns.at(has_pixel ? x : width - 1);
  ClassCounter counter(counts);
  for (int y = start; y < end;) {
    LabelMixture mixtures[kTogether];
    int together = 0, found[kTogether];
#pragma unroll
    for (int r = 0; r < kTogether; ++r) {
      mixtures[r] = rows.at(y + r);
      const bool joins = y + r < end && mixtures[r].cell == mixtures[0].cell;
      together += joins && together == r;
    }
    const LogitColumn column = logits_around(logits, at, mixtures[0].cell);
    if (together > 2) {
      find_best<kTogether>(logits, column, mixtures, found);
    } else if (together == 2) {
      find_best<2>(logits, column, mixtures, found);
    } else {
      find_best<1>(logits, column, mixtures, found);
    }
#pragma unroll
    for (int r = 0; r < kTogether; ++r) {
      if (r >= together) break;
      if (has_pixel) labels[static_cast<int64_t>(y + r) * width + x] = first + found[r];
      counter.add(found[r], has_pixel);
    }
    y += together;
  }
  counter.flush();
}

}  // namespace vidgraph
