// CPU twin of `assemble_masks`. The small map of probabilities is widened row by row; between two widened rows, pixels
// on whose side of 1/2 both agree need no arithmetic, so only the words that the outline passes through are mixed.
#include "assemble_masks.h"

#include "../native/lanes.h"
#include "../native/pack_bits.h"

namespace vidgraph::KERNEL_ISA {
namespace {

constexpr float kThreshold = 0.5f;

constexpr int kChunk = 64;  // pixels

// Dot products of `count` pixels with the coefficients. Adding up the last four lanes waits until there are many.
template <int kChannels>
void dots(const float* pixels, const float* coefficients, int channels, int count, float* __restrict out) {
  const int length = kChannels ? kChannels : channels, whole = length / kLanes * kLanes;
  float four[4 * kChunk];
  for (int start = 0; start < count; start += kChunk) {
    const int end = count - start < kChunk ? count - start : kChunk;
    for (int i = 0; i < end; ++i) {
      const float* pixel = pixels + static_cast<int64_t>(start + i) * length;
      float lanes[kLanes] = {};
      for (int k = 0; k < whole; k += kLanes) {
        for (int l = 0; l < kLanes; ++l) lanes[l] += pixel[k + l] * coefficients[k + l];
      }
      for (int l = 0; l < length % kLanes; ++l) lanes[l] += pixel[whole + l] * coefficients[whole + l];
      add_to_four(lanes, four + 4 * i);
    }
    for (int i = 0; i < end; ++i) out[start + i] = sum_of_four(four + 4 * i);
  }
}

// Probabilities of the crop with a border of one pixel: 0, but the last pixel again at the far edge of the prototypes.
class ProbabilityMap {
 public:
  ProbabilityMap(float* data, Region crop) : data_(data), crop_(crop), stride_(crop.x2 - crop.x1 + 2) {}

  template <int kChannels>
  void fill(const Prototypes& prototypes, const float* coefficients) {
    for (int x = 0; x < stride_; ++x) at(crop_.y1 - 1)[x] = at(crop_.y2)[x] = 0.f;
    const int count = crop_.x2 - crop_.x1;
    for (int y = crop_.y1; y < crop_.y2; ++y) {
      const int64_t first = static_cast<int64_t>(y) * prototypes.width + crop_.x1;
      const float* pixels = prototypes.data + first * prototypes.channels;
      float* row = at(y);
      dots<kChannels>(pixels, coefficients, prototypes.channels, count, row + 1);
      for (int x = 1; x <= count; ++x) row[x] = sigmoid(row[x]);
      row[0] = 0.f;
      row[count + 1] = crop_.x2 == prototypes.width ? row[count] : 0.f;
    }
    if (crop_.y2 == prototypes.height) std::memcpy(at(crop_.y2), at(crop_.y2 - 1), sizeof(float) * stride_);
  }

  // Row y, from one pixel before the crop.
  float* at(int y) const { return data_ + static_cast<int64_t>(y - crop_.y1 + 1) * stride_; }

 private:
  float* data_;
  Region crop_;
  int stride_;
};

// Row y of the map at the width of the frame, and which of its pixels are above the threshold.
struct WideRow {
  float* values;
  uint64_t* above;
};

void widen(const float* row, int first_cell, int end_cell, const AxisTable& columns, int words, WideRow wide) {
  const int x1 = columns.begins[first_cell], count = columns.begins[end_cell] - x1;
  const float *__restrict low = columns.low + x1, *__restrict high = columns.high + x1;
  float* __restrict values = wide.values;
  for (int cell = first_cell; cell < end_cell; ++cell, ++row) {
    const int end = columns.begins[cell + 1] - x1;
    const float left = row[0], right = row[1];
    for (int x = columns.begins[cell] - x1; x < end; x += kLanes) {
      for (int l = 0; l < kLanes; ++l) values[x + l] = low[x + l] * left + high[x + l] * right;
    }
  }
  std::memset(values + count, 0, sizeof(float) * (static_cast<size_t>(words) * 64 - count));
  for (int w = 0; w < words; ++w) {
    uint64_t bits = 0;
    for (int part = 0; part < 4; ++part) {
      bits |= static_cast<uint64_t>(bits_above(values + 64 * w + 16 * part, kThreshold)) << 16 * part;
    }
    wide.above[w] = bits;
  }
}

inline uint64_t mixed_word(const float* a, const float* b, float low, float high) {
  float values[64];
  for (int x = 0; x < 64; ++x) values[x] = low * a[x] + high * b[x];
  uint64_t bits = 0;
  for (int part = 0; part < 4; ++part) {
    bits |= static_cast<uint64_t>(bits_above(values + 16 * part, kThreshold)) << 16 * part;
  }
  return bits;
}

// One row of the mask between two wide rows; true where a pixel is set.
bool mix(WideRow a, WideRow b, float low, float high, int words, uint64_t* out, uint64_t* columns_set) {
  uint64_t any = 0;
  for (int w = 0; w < words; ++w) {
    uint64_t word = a.above[w];
    if (word != b.above[w]) word = mixed_word(a.values + 64 * w, b.values + 64 * w, low, high);
    out[w] = word;
    columns_set[w] |= word;
    any |= word;
  }
  out[words] = 0;
  return any;
}

Region tight_region(Region loose, int first_row, int end_row, const uint64_t* columns_set, int words) {
  if (first_row >= end_row) return {0, 0, 0, 0};
  int first = 0, last = words - 1;
  while (!columns_set[first]) ++first;
  while (!columns_set[last]) --last;
  return {loose.x1 + 64 * first + __builtin_ctzll(columns_set[first]), first_row,
          loose.x1 + 64 * last + 64 - __builtin_clzll(columns_set[last]), end_row};
}

}  // namespace

void assemble_mask(const Prototypes& prototypes, const float* coefficients, Region crop, AxisTable columns,
                   AxisTable rows, void* workspace, MaskWords* mask) {
  const size_t row_length = static_cast<size_t>(mask->loose.x2 - mask->loose.x1) + 2 * kOverrun;
  const int words = (mask->loose.x2 - mask->loose.x1 + 63) / 64;
  auto* word_memory = static_cast<uint64_t*>(workspace);
  auto* float_memory = reinterpret_cast<float*>(word_memory + 3 * (row_length / 64 + 1));
  WideRow upper{float_memory, word_memory}, lower{float_memory + row_length, word_memory + words};
  uint64_t* columns_set = word_memory + 2 * words;
  std::memset(columns_set, 0, sizeof(uint64_t) * words);
  const ProbabilityMap map(float_memory + 2 * row_length, crop);
  ProbabilityMap filled = map;
  if (prototypes.channels == 32) {
    filled.fill<32>(prototypes, coefficients);
  } else {
    filled.fill<0>(prototypes, coefficients);
  }
  const int skipped_x = crop.x1 > 0 ? 0 : 1, first_cell_x = crop.x1 - 1 + skipped_x;
  const int first_cell_y = crop.y1 > 0 ? crop.y1 - 1 : 0;
  const auto widened = [&](int y, WideRow into) {
    widen(map.at(y) + skipped_x, first_cell_x, crop.x2, columns, words, into);
  };
  int first_row = mask->loose.y2, end_row = mask->loose.y1;
  widened(first_cell_y, upper);
  for (int cell = first_cell_y; cell < crop.y2; ++cell) {
    widened(cell + 1, lower);
    for (int y = rows.begins[cell]; y < rows.begins[cell + 1]; ++y) {
      uint64_t* out = mask->words + (y - mask->loose.y1) * mask->stride;
      if (!mix(upper, lower, rows.low[y], rows.high[y], words, out, columns_set)) continue;
      if (first_row > y) first_row = y;
      end_row = y + 1;
    }
    const WideRow swapped = upper;
    upper = lower;
    lower = swapped;
  }
  mask->tight = tight_region(mask->loose, first_row, end_row, columns_set, words);
}

void pack_tight(const MaskWords& mask, uint8_t* out) {
  const int skipped = mask.tight.x1 - mask.loose.x1, shift = skipped % 64;
  const int bytes = (mask.tight.x2 - mask.tight.x1 + 7) / 8;
  for (int y = mask.tight.y1; y < mask.tight.y2; ++y, out += bytes) {
    const uint64_t* row = mask.words + (y - mask.loose.y1) * mask.stride + skipped / 64;
    for (int at = 0; at < bytes; at += 8, ++row) {
      const uint64_t word = bytes_mirrored(shift ? row[0] >> shift | row[1] << (64 - shift) : row[0]);
      std::memcpy(out + at, &word, sizeof(word));
    }
  }
}

}  // namespace vidgraph::KERNEL_ISA
