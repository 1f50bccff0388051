// CPU twin of `label_map`. Where one class leads at all logits around some pixels, it leads between them too, and
// nothing is computed there; elsewhere every class is widened in registers and compared at once.
#include "label_map.h"

#include "vectors.h"

namespace vidgraph::KERNEL_ISA {
namespace {

// A lead that rounding cannot use up, as a share of the largest of the best logits.
constexpr float kSafeLead = 1e-5f, kLeastLead = 1e-30f;
constexpr float kInfinity = __builtin_inff();

// One row of logits, held so that columns are adjacent, with the last column twice.
struct HeldRow {
  float* values;   // [classes][stride]
  int32_t* best;   // [width], class
  float* lead;     // [width], from the second best; NaN where there is none
  float largest;   // absolute best value
  int y;
};

// Each column's best class. Comparisons with NaN are false, so it is neither best nor second.
void find_leaders(const LogitMap& logits, int64_t stride, HeldRow* row) {
  Floats largest = {};
  for (int x = 0; x < logits.width; x += kWidth) {
    Floats best = Floats{} - kInfinity, second = best;
    Ints label = {};
    const float* values = row->values + x;
    for (int c = 0; c < logits.classes; ++c, values += stride) {
      const auto value = loaded<Floats>(values);
      const Ints better = value > best;
      const Floats lower = better ? best : value;
      second = lower > second ? lower : second;
      best = better ? value : best;
      label = better ? Ints{} + c : label;
    }
    const Floats lead = best - second, size = best < 0.f ? -best : best;
    largest = size > largest ? size : largest;
    std::memcpy(row->best + x, &label, sizeof(label));
    std::memcpy(row->lead + x, &lead, sizeof(lead));
  }
  row->largest = 0.f;
  for (int l = 0; l < kWidth; ++l) row->largest = largest[l] > row->largest ? largest[l] : row->largest;
}

void copy_row(const LogitMap& logits, const float* from, int64_t stride, float* to) {
  if (logits.column_stride == 1) {
    for (int c = 0; c < logits.classes; ++c) {
      std::memcpy(to + c * stride, from + c * logits.class_stride, sizeof(float) * logits.width);
    }
    return;
  }
  constexpr int kTile = 16;  // columns that are copied together, as their classes may be adjacent
  for (int start = 0; start < logits.width; start += kTile) {
    const int end = start + kTile < logits.width ? start + kTile : logits.width;
    for (int c = 0; c < logits.classes; ++c) {
      for (int x = start; x < end; ++x) to[c * stride + x] = from[c * logits.class_stride + x * logits.column_stride];
    }
  }
}

void hold(const LogitMap& logits, int y, int64_t stride, HeldRow* row) {
  copy_row(logits, logits.data + y * logits.row_stride, stride, row->values);
  for (int c = 0; c < logits.classes; ++c) {
    float* values = row->values + c * stride;
    for (int64_t x = logits.width; x < stride; ++x) values[x] = values[logits.width - 1];
  }
  row->y = y;
  find_leaders(logits, stride, row);
}

// ends[x]: where the run of columns ends that begins at x and has one safe leader in both rows; x where there is none.
void find_runs(const HeldRow& upper, const HeldRow& lower, int width, int32_t* ends) {
  const float largest = upper.largest > lower.largest ? upper.largest : lower.largest;
  const float safe = largest * kSafeLead + kLeastLead;
  int end = width;
  for (int x = width; x-- > 0;) {
    const bool led = upper.best[x] == lower.best[x] && upper.lead[x] > safe && lower.lead[x] > safe;
    if (led && x + 1 < width && upper.best[x] != upper.best[x + 1]) end = x + 1;
    if (!led) end = x;
    ends[x] = end;
  }
}

// Pixels x to x + kWidth - 1 between two held rows.
struct Block {
  const float *upper, *lower;  // the block's first column, of class 0
  int64_t stride;
  int classes;
  Ints from;  // columns from the first one
  Floats low, high;
};

// The best classes of kRows rows of a block; `low`, `high`: their shares of the two held rows.
template <bool kNear, int kRows>
void find_best(const Block& block, const float* low, const float* high, Ints* labels) {
  Floats best[kRows];
  Ints label[kRows];
  for (int r = 0; r < kRows; ++r) {
    best[r] = Floats{} - kInfinity;
    label[r] = Ints{};
  }
  const float *upper = block.upper, *lower = block.lower;
  for (int c = 0; c < block.classes; ++c, upper += block.stride, lower += block.stride) {
    const Floats above = block.low * picked<kNear>(upper, block.from) + block.high * picked<kNear>(upper + 1, block.from);
    const Floats below = block.low * picked<kNear>(lower, block.from) + block.high * picked<kNear>(lower + 1, block.from);
    for (int r = 0; r < kRows; ++r) {
      const Floats value = low[r] * above + high[r] * below;
      const Ints better = value > best[r];
      best[r] = better ? value : best[r];
      label[r] = better ? Ints{} + c : label[r];
    }
  }
  for (int r = 0; r < kRows; ++r) labels[r] = label[r];
}

template <bool kNear>
int find_some_rows(const Block& block, const LabelAxis& rows, int y, int end, Ints* labels) {
  const float *low = rows.low + y, *high = rows.high + y;
  if (end - y >= 3) return find_best<kNear, 4>(block, low, high, labels), 4;
  if (end - y == 2) return find_best<kNear, 2>(block, low, high, labels), 2;
  return find_best<kNear, 1>(block, low, high, labels), 1;
}

// All rows that lie between the same two rows of logits.
class Band {
 public:
  Band(const LogitMap& logits, const LabelAxis& columns, const LabelAxis& rows, const LabelPicture& picture)
      : logits_(logits), columns_(columns), rows_(rows), picture_(picture), stride_(label_row_stride(logits)) {}

  void label(const HeldRow& upper, const HeldRow& lower, const int32_t* ends, int y, int end) const {
    for (int x = 0; x < columns_.pixels; x += kWidth) {
      const int first = columns_.cells[x];
      const int last = columns_.cells[x + kWidth - 1], last_used = last + 1 < logits_.width ? last + 1 : last;
      if (ends[first] > last_used) {
        fill(upper.best[first], x, y, end);
        continue;
      }
      const Block block{upper.values + first,
                        lower.values + first,
                        stride_,
                        logits_.classes,
                        loaded<Ints>(columns_.cells + x) - first,
                        loaded<Floats>(columns_.low + x),
                        loaded<Floats>(columns_.high + x)};
      for (int row = y; row < end;) {
        Ints labels[4];
        const int found = last - first < kWidth ? find_some_rows<true>(block, rows_, row, end, labels)
                                                : find_some_rows<false>(block, rows_, row, end, labels);
        for (int r = 0; r < found && row < end; ++r, ++row) store(labels[r], x, row);
      }
    }
  }

 private:
  int pixels_at(int x) const { return x + kWidth < columns_.pixels ? kWidth : columns_.pixels - x; }

  int32_t* row_at(int x, int y) const { return picture_.labels + static_cast<int64_t>(y) * columns_.pixels + x; }

  void fill(int32_t label, int x, int y, int end) const {
    const Ints labels = Ints{} + (picture_.first + label);
    const int count = pixels_at(x);
    for (int row = y; row < end; ++row) write(labels, count, row_at(x, row));
    picture_.counts[label] += static_cast<int64_t>(count) * (end - y);
  }

  void store(Ints labels, int x, int y) const {
    const int count = pixels_at(x);
    for (int l = 0; l < count; ++l) ++picture_.counts[labels[l]];
    write(labels + picture_.first, count, row_at(x, y));
  }

  static void write(Ints labels, int count, int32_t* out) {
    if (count == kWidth) {
      std::memcpy(out, &labels, sizeof(labels));
    } else {
      std::memcpy(out, &labels, sizeof(int32_t) * count);
    }
  }

  const LogitMap& logits_;
  const LabelAxis &columns_, &rows_;
  const LabelPicture& picture_;
  int64_t stride_;
};

}  // namespace

void label_map(const LogitMap& logits, const LabelAxis& columns, const LabelAxis& rows, void* workspace,
               const LabelPicture& picture) {
  const int64_t stride = label_row_stride(logits), table = stride * logits.classes;
  auto* memory = static_cast<float*>(workspace);
  const auto held_row = [&](float* from) {
    return HeldRow{from + 2 * stride, reinterpret_cast<int32_t*>(from), from + stride, 0.f, -1};
  };
  HeldRow upper = held_row(memory), lower = held_row(memory + table + 2 * stride);
  auto* ends = reinterpret_cast<int32_t*>(memory + 2 * table + 4 * stride);
  const Band band(logits, columns, rows, picture);
  for (int y = 0, end = 0; y < rows.pixels; y = end) {
    const int cell = rows.cells[y], next = cell + 1 < logits.height ? cell + 1 : cell;
    while (end < rows.pixels && rows.cells[end] == cell) ++end;
    if (lower.y == cell) {
      const HeldRow swapped = upper;
      upper = lower;
      lower = swapped;
    }
    if (upper.y != cell) hold(logits, cell, stride, &upper);
    if (next != cell && lower.y != next) hold(logits, next, stride, &lower);
    const HeldRow& below = next == cell ? upper : lower;
    find_runs(upper, below, logits.width, ends);
    band.label(upper, below, ends, y, end);
  }
}

}  // namespace vidgraph::KERNEL_ISA
