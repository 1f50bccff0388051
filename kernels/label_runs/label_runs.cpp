// CPU twin: rows are compared with the ones above, a block at a time, because labels rarely change.
#include "label_runs.h"

namespace vidgraph::KERNEL_ISA {
namespace {

constexpr int kBlock = 32;

bool differ(const int32_t* row, const int32_t* above) {
  int32_t changed = 0;
  for (int i = 0; i < kBlock; ++i) changed |= row[i] ^ above[i];
  return changed != 0;
}

// Visits every pixel at which a run begins; those of a column from top to bottom.
template <typename Visit>
void for_each_start(const LabelMap& map, Visit visit) {
  const int32_t* foot = map.labels + (map.height - 1) * map.width;
  for (int64_t x = 0; x < map.width; ++x) {
    if (x == 0 || map.labels[x] != foot[x - 1]) visit(x, INT64_C(0));
  }
  for (int64_t y = 1; y < map.height; ++y) {
    const int32_t *row = map.labels + y * map.width, *above = row - map.width;
    int64_t x = 0;
    for (; x + kBlock <= map.width; x += kBlock) {
      if (!differ(row + x, above + x)) continue;
      for (int64_t i = x; i < x + kBlock; ++i) {
        if (row[i] != above[i]) visit(i, y);
      }
    }
    for (; x < map.width; ++x) {
      if (row[x] != above[x]) visit(x, y);
    }
  }
}

}  // namespace

void count_label_runs(const LabelMap& map, int64_t* counts) {
  for (int64_t x = 0; x < map.width; ++x) counts[x] = 0;
  for_each_start(map, [=](int64_t x, int64_t) { ++counts[x]; });
}

void list_label_runs(const LabelMap& map, int64_t* next, int64_t* starts, int32_t* labels) {
  for_each_start(map, [=, &map](int64_t x, int64_t y) {
    const int64_t at = next[x]++;
    starts[at] = x * map.height + y;
    labels[at] = map.labels[y * map.width + x];
  });
}

}  // namespace vidgraph::KERNEL_ISA
