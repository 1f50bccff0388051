// CPU twin of `assemble_masks`. The small map of probabilities is widened row by row; between two widened rows, pixels
// on whose side of 1/2 both agree need no arithmetic, so only the words that the outline passes through are mixed.
#include "assemble_masks.h"

#include "../native/lanes.h"
#include "../native/pack_bits.h"

namespace vidgraph::KERNEL_ISA {
namespace {

// Dot products of `count` pixels, `stride` floats apart, with the coefficients. Adding up the last four lanes waits until
// there are many.
template <int kChannels>
void dots(const float* pixels, int64_t stride, const float* coefficients, int channels, int count,
          float* __restrict out) {
  const int length = kChannels ? kChannels : channels, whole = length / kLanes * kLanes;
  float four[4 * kMaskChunk];
  for (int start = 0; start < count; start += kMaskChunk) {
    const int end = count - start < kMaskChunk ? count - start : kMaskChunk;
    for (int i = 0; i < end; ++i) {
      const float* pixel = pixels + (start + i) * stride;
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

// A number for each of kLanes adjacent pixels, in registers.
struct Pixels {
  Floats parts[kLanes / kRegister];
};

inline Pixels operator+(const Pixels& a, const Pixels& b) {
  Pixels sum;
  for (int i = 0; i < kLanes / kRegister; ++i) sum.parts[i] = a.parts[i] + b.parts[i];
  return sum;
}

// What `dots` sums in one lane. A line of the cache is read once: planes often lie so that they share its place there.
template <int kChannels>
inline Pixels lane_of_planes(const float* pixels, int64_t plane, const float* coefficients, int channels, int lane) {
  Pixels sum = {};
  for (int k = lane; k < (kChannels ? kChannels : channels); k += kLanes) {
    for (int i = 0; i < kLanes / kRegister; ++i) {
      sum.parts[i] += load_floats(pixels + k * plane + i * kRegister) * coefficients[k];
    }
  }
  return sum;
}

// The same dot products, bit by bit, of kLanes adjacent pixels of planes that lie `plane` floats apart.
template <int kChannels>
void dots_of_planes(const float* pixels, int64_t plane, const float* coefficients, int channels, float* out) {
  const auto lane = [&](int l) { return lane_of_planes<kChannels>(pixels, plane, coefficients, channels, l); };
  const auto four = [&](int l) { return (lane(l) + lane(l + 8)) + (lane(l + 4) + lane(l + 12)); };
  const Pixels sum = (four(0) + four(2)) + (four(1) + four(3));
  std::memcpy(out, &sum, sizeof(sum));
}

// Dot products of pixels x1 to x2 - 1 of row y, whatever the layout of the prototypes.
template <int kChannels>
void dots_of_row(const Prototypes& p, const float* coefficients, int y, int x1, int x2, float* scratch, float* out) {
  const float* row = p.data + y * p.row_stride;
  if (p.channel_stride == 1) {
    return dots<kChannels>(row + x1 * p.pixel_stride, p.pixel_stride, coefficients, p.channels, x2 - x1, out);
  }
  if (p.pixel_stride == 1 && p.width >= kLanes) {
    const int past_line = static_cast<int>(reinterpret_cast<uintptr_t>(row + x1) / sizeof(float) % kLanes);
    for (int from = past_line < x1 ? x1 - past_line : 0; from < x2; from += kLanes) {
      float sums[kLanes];
      if (from > p.width - kLanes) from = p.width - kLanes;
      dots_of_planes<kChannels>(row + from, p.channel_stride, coefficients, p.channels, sums);
      const int begin = from > x1 ? from : x1, end = from + kLanes < x2 ? from + kLanes : x2;
      std::memcpy(out + begin - x1, sums + begin - from, sizeof(float) * (end - begin));
    }
    return;
  }
  for (int start = x1; start < x2; start += kMaskChunk) {
    const int count = x2 - start < kMaskChunk ? x2 - start : kMaskChunk;
    for (int i = 0; i < count; ++i) {
      const float* pixel = row + (start + i) * p.pixel_stride;
      for (int k = 0; k < p.channels; ++k) scratch[i * p.channels + k] = pixel[k * p.channel_stride];
    }
    dots<kChannels>(scratch, p.channels, coefficients, p.channels, count, out + start - x1);
  }
}

// Probabilities of the crop with a border of one pixel: 0, but the last pixel again at the far edge of the prototypes.
class ProbabilityMap {
 public:
  ProbabilityMap(float* data, Region crop) : data_(data), crop_(crop), stride_(crop.x2 - crop.x1 + 2) {}

  void fill(const Prototypes& prototypes, const float* coefficients, float* scratch) {
    if (prototypes.channels == 32) {
      fill_of<32>(prototypes, coefficients, scratch);
    } else {
      fill_of<0>(prototypes, coefficients, scratch);
    }
  }

  // Row y, from one pixel before the crop.
  float* at(int y) const { return data_ + static_cast<int64_t>(y - crop_.y1 + 1) * stride_; }

 private:
  template <int kChannels>
  void fill_of(const Prototypes& prototypes, const float* coefficients, float* scratch) {
    for (int x = 0; x < stride_; ++x) at(crop_.y1 - 1)[x] = at(crop_.y2)[x] = 0.f;
    const int count = crop_.x2 - crop_.x1;
    for (int y = crop_.y1; y < crop_.y2; ++y) {
      float* row = at(y);
      dots_of_row<kChannels>(prototypes, coefficients, y, crop_.x1, crop_.x2, scratch, row + 1);
      for (int x = 1; x <= count; ++x) row[x] = sigmoid(row[x]);
      row[0] = 0.f;
      row[count + 1] = crop_.x2 == prototypes.width ? row[count] : 0.f;
    }
    if (crop_.y2 == prototypes.height) std::memcpy(at(crop_.y2), at(crop_.y2 - 1), sizeof(float) * stride_);
  }

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
      bits |= static_cast<uint64_t>(bits_above(values + 64 * w + 16 * part, kMaskThreshold)) << 16 * part;
    }
    wide.above[w] = bits;
  }
}

inline uint64_t mixed_word(const float* a, const float* b, float low, float high) {
  float values[64];
  for (int x = 0; x < 64; ++x) values[x] = low * a[x] + high * b[x];
  uint64_t bits = 0;
  for (int part = 0; part < 4; ++part) {
    bits |= static_cast<uint64_t>(bits_above(values + 16 * part, kMaskThreshold)) << 16 * part;
  }
  return bits;
}

// One row of the mask between two wide rows, where `kept` (null: everywhere); true where a pixel is set.
template <bool kLimited>
bool mix(WideRow a, WideRow b, float low, float high, int words, const uint64_t* kept, uint64_t* out,
         uint64_t* columns_set) {
  uint64_t any = 0;
  for (int w = 0; w < words; ++w) {
    uint64_t word = a.above[w];
    if (word != b.above[w]) word = mixed_word(a.values + 64 * w, b.values + 64 * w, low, high);
    if (kLimited) word &= kept[w];
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

// Words that are set from pixel x1 of a row to before x2.
void fill_range(int x1, int x2, int words, uint64_t* out) {
  for (int w = 0; w < words; ++w) out[w] = bits_between(x1 - 64 * w, x2 - 64 * w);
}

template <bool kLimited>
void assemble(const Prototypes& prototypes, const float* coefficients, Region crop, const Region* limits,
              AxisTable columns, AxisTable rows, void* workspace, MaskWords* mask) {
  const size_t row_length = static_cast<size_t>(mask->loose.x2 - mask->loose.x1) + 2 * kOverrun;
  const int words = (mask->loose.x2 - mask->loose.x1 + 63) / 64;
  auto* word_memory = static_cast<uint64_t*>(workspace);
  auto* float_memory = reinterpret_cast<float*>(word_memory + 4 * (row_length / 64 + 1));
  WideRow upper{float_memory, word_memory}, lower{float_memory + row_length, word_memory + words};
  uint64_t *columns_set = word_memory + 2 * words, *kept = word_memory + 3 * words;
  if (kLimited) fill_range(limits->x1 - mask->loose.x1, limits->x2 - mask->loose.x1, words, kept);
  std::memset(columns_set, 0, sizeof(uint64_t) * words);
  float* scratch = float_memory + 2 * row_length;
  ProbabilityMap map(scratch + static_cast<size_t>(kMaskChunk) * prototypes.channels, crop);
  map.fill(prototypes, coefficients, scratch);
  const int skipped_x = crop.x1 > 0 ? 0 : 1, first_cell_x = crop.x1 - 1 + skipped_x;
  const int first_cell_y = crop.y1 > 0 ? crop.y1 - 1 : 0;
  const auto widened = [&](int y, WideRow into) {
    widen(map.at(y) + skipped_x, first_cell_x, crop.x2, columns, words, into);
  };
  int first_row = mask->loose.y2, end_row = mask->loose.y1;
  widened(first_cell_y, upper);
  for (int cell = first_cell_y; cell < crop.y2; ++cell) {
    widened(cell + 1, lower);
    int first = rows.begins[cell], end = rows.begins[cell + 1];
    if (kLimited && first < limits->y1) first = limits->y1;
    if (kLimited && end > limits->y2) end = limits->y2;
    for (int y = first; y < end; ++y) {
      uint64_t* out = mask->words + (y - mask->loose.y1) * mask->stride;
      if (!mix<kLimited>(upper, lower, rows.low[y], rows.high[y], words, kept, out, columns_set)) continue;
      if (first_row > y) first_row = y;
      end_row = y + 1;
    }
    const WideRow swapped = upper;
    upper = lower;
    lower = swapped;
  }
  mask->tight = tight_region(mask->loose, first_row, end_row, columns_set, words);
}

}  // namespace

void assemble_mask(const Prototypes& prototypes, const float* coefficients, Region crop, const Region* limits,
                   AxisTable columns, AxisTable rows, void* workspace, MaskWords* mask) {
  (limits ? assemble<true> : assemble<false>)(prototypes, coefficients, crop, limits, columns, rows, workspace, mask);
}

void expected_mask_iou(const Prototypes& prototypes, const float* coefficients, Region crop, void* workspace,
                       float* iou) {
  auto* scratch = static_cast<float*>(workspace);
  ProbabilityMap map(scratch + static_cast<size_t>(kMaskChunk) * prototypes.channels, crop);
  map.fill(prototypes, coefficients, scratch);
  float inside[kLanes] = {}, outside[kLanes] = {}, pixels[kLanes] = {};
  const auto add = [&](const float* values, int lane) {
    const bool in_mask = values[lane] > kMaskThreshold;
    inside[lane] += in_mask ? values[lane] : 0.f;
    outside[lane] += in_mask ? 0.f : values[lane];
    pixels[lane] += in_mask ? 1.f : 0.f;
  };
  const int count = crop.x2 - crop.x1, whole = count / kLanes * kLanes;
  for (int y = crop.y1; y < crop.y2; ++y) {
    const float* row = map.at(y) + 1;
    for (int x = 0; x < whole; x += kLanes) {
      for (int l = 0; l < kLanes; ++l) add(row + x, l);
    }
    for (int l = 0; l < count - whole; ++l) add(row + whole, l);
  }
  const float expected = sum_of_lanes(inside) / (sum_of_lanes(pixels) + sum_of_lanes(outside));
  *iou = expected > 0.f ? expected : 0.f;
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
