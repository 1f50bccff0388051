// Runs of equal labels down the columns of a map.
#pragma once

#include "../native/kernel.h"

namespace vidgraph {

// A map of labels, rows one after the other.
struct LabelMap {
  const int32_t* labels;
  int64_t height, width;
};

// How many runs begin in each column, [width]. A run goes on from the foot of a column to the top of the next one.
KERNEL_ENTRY(count_label_runs, const LabelMap& map, int64_t* counts)
// Where they begin (column * height + row) and their labels, each column's from next[column] on, which is moved.
KERNEL_ENTRY(list_label_runs, const LabelMap& map, int64_t* next, int64_t* starts, int32_t* labels)

}  // namespace vidgraph
