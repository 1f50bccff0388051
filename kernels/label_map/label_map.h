// The best class of every pixel of the frame, from a smaller map of logits.
// Source: definition; bilinear as torch's interpolate with align_corners=False.
#pragma once

#include "../native/kernel.h"

namespace vidgraph {

struct LogitMap {
  const float* data;
  int64_t class_stride, row_stride, column_stride;  // numbers, not bytes
  int classes, height, width;
};

// Pixel i of the frame mixes logits cells[i] and cells[i] + 1, low[i] of one and high[i] of the other.
struct LabelAxis {
  const int32_t* cells;      // [pixels + kLabelOverrun], rising
  const float *low, *high;   // [pixels + kLabelOverrun], 0..1
  int pixels;
};

constexpr int kLabelOverrun = 16;  // places that may be read beyond the end of a row

struct LabelPicture {
  int32_t* labels;  // [rows.pixels][columns.pixels]
  int64_t* counts;  // [classes], pixels of each, added to
  int32_t first;    // the label of class 0
};

// Numbers in a row of logits as it is held: its columns, the last one again, and the overrun.
inline int64_t label_row_stride(const LogitMap& logits) {
  return static_cast<int64_t>(logits.width) + 1 + kLabelOverrun;
}

// Bytes of scratch memory: two rows of all classes, the best class and its lead in each column, and where runs end.
inline size_t label_workspace(const LogitMap& logits) {
  return sizeof(float) * label_row_stride(logits) * (2 * static_cast<size_t>(logits.classes) + 5);
}

namespace KERNEL_ISA {

// What a pixel of the frame mixes along one axis: logits `cell` and `cell` + 1, `low` of one and `high` of the other.
struct LabelMixture {
  int cell;
  float low, high;
};

// One axis of the resize: pixel i lies at first + scale * (i + 1/2), in logits.
struct LabelResize {
  int logits;
  float first, scale;

  KERNEL_HD LabelMixture at(int pixel) const {
    const float position = scale * (static_cast<float>(pixel) + 0.5f) + first - 0.5f;
    const float last = static_cast<float>(logits - 1), not_beyond = last < position ? last : position;
    const float held = position > 0.f ? not_beyond : 0.f;  // also for NaN
    const int cell = static_cast<int>(held);
    const float high = held - static_cast<float>(cell);
    return {cell, 1.f - high, high};
  }
};

}  // namespace KERNEL_ISA

KERNEL_ENTRY(label_map, const LogitMap& logits, const LabelAxis& columns, const LabelAxis& rows, void* workspace,
             const LabelPicture& picture)

}  // namespace vidgraph
