// Rows of several tables by one list of indices, in one launch. A table is words of 32 bits, whatever they mean.
#include "../native/cuda.h"

namespace vidgraph {

constexpr int kMostTables = 6;

// Rows of `words` words, `step` words apart in `from`, where rows begin `stride` words apart; both may be negative. They are
// packed in `to`.
struct RowTable {
  const uint32_t* from;
  uint32_t* to;
  int64_t stride, step;
  int words;
};

struct RowTables {
  RowTable tables[kMostTables];
};

namespace {

constexpr int kThreads = 256;

}  // namespace

// Row i of each packed table is row rows[i] of the table, or row i where `rows` is null. `taken` (may be null): how many
// they are, and behind it the `note_length` numbers of `note`. Blocks (any, tables).
CUDA_KERNEL(kThreads)
take_rows(RowTables set, const int64_t* rows, const int* known, int64_t room, const int* note, int note_length,
          int* taken) {
  const RowTable table = set.tables[blockIdx.y];
  const int64_t count = counted(known, room);
  for (int64_t at = global_index(); at < count * table.words; at += grid_step()) {
    const int64_t row = at / table.words;
    table.to[at] = table.from[(rows ? rows[row] : row) * table.stride + at % table.words * table.step];
  }
  if (!taken || blockIdx.y != 0 || global_index() != 0) return;
  *taken = static_cast<int>(count);
  for (int i = 0; i < note_length; ++i) taken[1 + i] = note[i];
}

}  // namespace vidgraph
