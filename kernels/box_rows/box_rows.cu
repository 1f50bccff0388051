// Rows of boxes as detectors of many kinds give them, a thread each: which are usable, what their numbers mean, where they
// lie in a frame; and whether whole outputs hold a number at all.
#include "../native/cuda.h"
#include "../native/exponential.h"

namespace vidgraph {

// As `Shown` of the folder; `part_x` and `part_y` are where it begins, `part_width` and `part_height` how large it is.
struct ShownPart {
  float scale_x, scale_y, offset_x, offset_y;
  float frame_width, frame_height;
  float part_x, part_y, part_width, part_height;
};

constexpr int kMostOutputs = 3;

// Numbers [height][width]; strides count floats and may be negative.
struct NumberTable {
  const float* data;
  int64_t height, width, row_stride, column_stride;
};

struct NumberTables {
  NumberTable tables[kMostOutputs];
};

namespace {

using namespace KERNEL_ISA;

constexpr int kThreads = 256;
constexpr int kLookThreads = 1024;
constexpr int kCentred = 2, kSized = 1;  // places in ORDERS
constexpr float kMostClasses = 1073741824.f;

__device__ inline bool is_finite(float value) { return (bits_of_float(value) & 0x7f800000u) != 0x7f800000u; }

__device__ inline bool all_finite(const float* row, int length) {
  bool finite = true;
  for (int i = 0; i < length; ++i) finite &= is_finite(row[i]);
  return finite;
}

// A table by its number. An index that is not known at compile time would put them all into local memory.
__device__ inline NumberTable table_of(const NumberTables& set, int index) {
  const NumberTable &a = set.tables[0], &b = set.tables[1], &c = set.tables[2];
  return {index == 0 ? a.data : index == 1 ? b.data : c.data,
          index == 0 ? a.height : index == 1 ? b.height : c.height,
          index == 0 ? a.width : index == 1 ? b.width : c.width,
          index == 0 ? a.row_stride : index == 1 ? b.row_stride : c.row_stride,
          index == 0 ? a.column_stride : index == 1 ? b.column_stride : c.column_stride};
}

// NaN stays NaN.
__device__ inline float within(float value, float most) { return value < 0.f ? 0.f : value > most ? most : value; }

}  // namespace

// `usable` [room]: the score, NaN where the row has a number that is not finite, or a class that is not wanted (where
// `wanted` is not null).
CUDA_KERNEL(kThreads)
box_rows_usable(const float* scores, const int* class_ids, const float* boxes, const float* extras, int extra_length,
                const int* wanted, int wanted_length, const int* known, int64_t room, float* usable) {
  const int64_t i = global_index(), count = counted(known, room);
  if (i >= count) return;
  bool counts = is_finite(scores[i]) && all_finite(boxes + 4 * i, 4);
  counts &= all_finite(extras + i * extra_length, extra_length);
  if (wanted) counts &= is_among(class_ids[i], wanted, wanted_length);
  usable[i] = counts ? scores[i] : float_of_bits(0x7fc00000u);
}

// (x1, y1, x2, y2) of boxes in an order of ORDERS, times the extent.
CUDA_KERNEL(kThreads)
box_rows_corners(const float* boxes, int order, float width, float height, const int* known, int64_t room,
                 float* corners) {
  const int64_t i = global_index(), count = counted(known, room);
  if (i >= count) return;
  const float *box = boxes + 4 * i, extent[2] = {width, height};
  for (int axis = 0; axis < 2; ++axis) {
    const float given = box[axis], other = box[axis + 2];
    const float first = order == kCentred ? given - other * 0.5f : given;
    const float last = order == kCentred || order == kSized ? first + other : other;
    corners[4 * i + axis] = first * extent[axis];
    corners[4 * i + axis + 2] = last * extent[axis];
  }
}

// The class of a number that a network gives for it, -1 where it is none.
CUDA_KERNEL(kThreads) box_rows_classes(const float* numbers, const int* known, int64_t room, int* class_ids) {
  const int64_t i = global_index(), count = counted(known, room);
  if (i >= count) return;
  const float number = numbers[i];
  class_ids[i] = number > -kMostClasses && number < kMostClasses ? static_cast<int>(rintf(number)) : -1;
}

// Where boxes lie in the part of the frame that is shown, relative to it, and the pixels of it whose centres they cover; 0
// for boxes without an area in the frame.
CUDA_KERNEL(kThreads)
box_rows_placed(const float* boxes, ShownPart shown, const int* known, int64_t room, float* relative, int* limits) {
  const int64_t i = global_index(), count = counted(known, room);
  if (i >= count) return;
  const float* box = boxes + 4 * i;
  const float x1 = within(box[0] * shown.scale_x + shown.offset_x, shown.frame_width);
  const float y1 = within(box[1] * shown.scale_y + shown.offset_y, shown.frame_height);
  const float x2 = within(box[2] * shown.scale_x + shown.offset_x, shown.frame_width);
  const float y2 = within(box[3] * shown.scale_y + shown.offset_y, shown.frame_height);
  const bool seen = x2 > x1 && y2 > y1;
  const float own[4] = {x1 - shown.part_x, y1 - shown.part_y, x2 - shown.part_x, y2 - shown.part_y};
  for (int edge = 0; edge < 4; ++edge) {
    const float length = edge % 2 ? shown.part_height : shown.part_width;
    relative[4 * i + edge] = seen ? own[edge] / length : 0.f;
    limits[4 * i + edge] = seen ? static_cast<int>(ceilf(own[edge] - 0.5f)) : 0;
  }
}

// Number b of `report` becomes whether table b has a finite number, or none at all, and the one behind the last how many
// rows were found. A block a table; nearly always the first number tells.
CUDA_KERNEL(kLookThreads) box_rows_report(NumberTables set, const int* known, int* report) {
  const NumberTable table = table_of(set, static_cast<int>(blockIdx.x));
  const int64_t count = table.height * table.width;
  bool finite = count == 0 || is_finite(*table.data);
  for (int64_t at = threadIdx.x; at < count && !finite; at += kLookThreads) {
    finite = is_finite(table.data[at / table.width * table.row_stride + at % table.width * table.column_stride]);
  }
  const int any = __syncthreads_or(finite);
  if (threadIdx.x != 0) return;
  report[blockIdx.x] = any;
  if (blockIdx.x == 0) report[gridDim.x] = *known;
}

}  // namespace vidgraph
