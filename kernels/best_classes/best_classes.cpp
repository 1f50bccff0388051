// CPU twin of `best_classes`. Most rows are background: one pass over memory finds those that a class may save, and only
// they are looked at again for which class it is, whether a number is missing, and the exponential.
//
// Where the numbers of a column are adjacent, the pass runs along the rows, a block of them at a time, so that the block
// is still in the cache when it is looked at again.
#include "best_classes.h"

#include "../native/lanes.h"
#include "../native/pack_bits.h"

namespace vidgraph::KERNEL_ISA {
namespace {

// Appends the row if its score is above the threshold; never where a number of the row is NaN.
inline void offer(int64_t row, float best, int class_id, float objectness, const ScoreRule& rule, BestClasses* found) {
  const float score = row_score(best, objectness, rule.sigmoid);
  if (!(score > rule.min_score)) return;
  found->rows[found->count] = row;
  found->class_ids[found->count] = class_id;
  found->scores[found->count++] = score;
}

// --- the numbers of a row are adjacent ---

// Whether some value, times `factor`, is above `cut`. As scores rise or fall with the value, no row that is wanted fails.
template <int kColumns>
bool any_above(const float* row, int columns, float factor, float cut) {
  const int count = kColumns ? kColumns : columns;
  int any = 0;
  for (int c = 0; c < count; ++c) any |= row[c] * factor > cut;
  return any;
}

inline void offer_row(const float* row, int64_t index, int columns, float objectness, const ScoreRule& rule,
                      BestClasses* found) {
  int missing = 0;
  for (int c = 0; c < columns; ++c) missing |= row[c] != row[c];
  if (missing) return;
  int best = 0;
  for (int c = 1; c < columns; ++c) best = row[c] > row[best] ? c : best;
  offer(index, row[best], best, objectness, rule, found);
}

template <int kColumns>
void scan_rows(const ScoreTable& table, const ScoreRule& rule, float* workspace, BestClasses* found) {
  const bool all = rule.sigmoid && rule.cut != rule.cut;
  const float cut = rule.sigmoid ? rule.cut : rule.min_score;
  for (int64_t i = 0; i < table.rows; ++i) {
    const float objectness = table.objectness ? table.objectness[i * table.objectness_stride] : 1.f;
    if (rule.sigmoid && objectness <= rule.min_score && objectness >= 0.f) continue;
    const float* row = table.data + i * table.row_stride;
    if (table.column_stride != 1) {
      for (int c = 0; c < table.columns; ++c) workspace[c] = row[c * table.column_stride];
      row = workspace;
    }
    const float factor = rule.sigmoid ? 1.f : objectness;
    const bool hopeful = all || objectness > 1.f || any_above<kColumns>(row, table.columns, factor, cut);
    if (hopeful) offer_row(row, i, table.columns, objectness, rule, found);
  }
}

// --- the numbers of a column are adjacent ---

void largest_of_columns(const float* first, int64_t stride, int columns, int count, float* __restrict best) {
  std::memcpy(best, first, sizeof(float) * count);
  int c = 1;
  for (; c + 3 < columns; c += 4) {
    const float *__restrict a = first + c * stride, *__restrict b = a + stride;
    const float *__restrict d = b + stride, *__restrict e = d + stride;
    for (int i = 0; i < count; ++i) {
      best[i] = larger_of(larger_of(larger_of(a[i], b[i]), larger_of(d[i], e[i])), best[i]);
    }
  }
  for (; c < columns; ++c) {
    const float* __restrict a = first + c * stride;
    for (int i = 0; i < count; ++i) best[i] = larger_of(a[i], best[i]);
  }
}

// The best classes of as many rows as there are lanes.
struct LaneClasses {
  float best[kLanes];
  int32_t ids[kLanes], missing[kLanes];
};

inline LaneClasses classes_of_lanes(const float* first, int64_t stride, int columns) {
  LaneClasses lanes;
  for (int l = 0; l < kLanes; l += kRegister) {
    Floats best = load_floats(first + l);
    Words ids = {}, missing = best != best;
    for (int c = 1; c < columns; ++c) {
      const Floats values = load_floats(first + l + c * stride);
      const Words better = values > best;
      ids = better ? Words{} + c : ids;
      best = better ? values : best;
      missing |= values != values;
    }
    std::memcpy(lanes.best + l, &best, sizeof(best));
    std::memcpy(lanes.ids + l, &ids, sizeof(ids));
    std::memcpy(lanes.missing + l, &missing, sizeof(missing));
  }
  return lanes;
}

// Bit l says whether the score of row l may be above the threshold. `best` is spoiled.
inline uint32_t hopeful_lanes(float* best, const float* objectness, const ScoreRule& rule) {
  if (!rule.sigmoid) {
    if (objectness) {
      for (int l = 0; l < kLanes; ++l) best[l] *= objectness[l];
    }
    return bits_above(best, rule.min_score);
  }
  uint32_t bits = rule.cut == rule.cut ? bits_above(best, rule.cut) : 0xffffu;
  if (objectness) {
    bits |= bits_above(objectness, 1.f);
    if (rule.min_score >= 0.f) bits &= bits_above(objectness, rule.min_score);
  }
  return bits;
}

// At least as many rows as there are lanes; the last lanes overlap those before them.
void scan_columns(const ScoreTable& table, const ScoreRule& rule, float* workspace, BestClasses* found) {
  float *best = workspace, *objectness = table.objectness ? workspace + kScoreBlock : nullptr;
  int64_t next = 0;  // the first row that has not been offered
  for (int64_t start = 0; next < table.rows; start += kScoreBlock) {
    if (start > table.rows - kLanes) start = table.rows - kLanes;
    const int count = table.rows - start < kScoreBlock ? static_cast<int>(table.rows - start) : kScoreBlock;
    const float* first = table.data + start;
    largest_of_columns(first, table.column_stride, table.columns, count, best);
    for (int i = 0; objectness && i < count; ++i) objectness[i] = table.objectness[(start + i) * table.objectness_stride];
    for (int group = 0; group < count; group += kLanes) {
      float values[kLanes];
      if (group > count - kLanes) group = count - kLanes;
      for (int l = 0; l < kLanes; ++l) values[l] = best[group + l];
      const int64_t row = start + group;
      uint32_t bits = hopeful_lanes(values, objectness ? objectness + group : nullptr, rule);
      bits &= 0xffffu << (next - row);
      next = row + kLanes;
      if (!(bits & 0xffffu)) continue;
      const LaneClasses lanes = classes_of_lanes(first + group, table.column_stride, table.columns);
      for (int l = 0; l < kLanes; ++l) {
        if (!(bits >> l & 1) || lanes.missing[l]) continue;
        offer(row + l, lanes.best[l], lanes.ids[l], objectness ? objectness[group + l] : 1.f, rule, found);
      }
    }
  }
}

}  // namespace

void best_classes(const ScoreTable& table, const ScoreRule& rule, float* workspace, BestClasses* found) {
  if (table.row_stride == 1 && table.rows >= kLanes) return scan_columns(table, rule, workspace, found);
  if (table.columns == 80) return scan_rows<80>(table, rule, workspace, found);
  scan_rows<0>(table, rule, workspace, found);
}

}  // namespace vidgraph::KERNEL_ISA
