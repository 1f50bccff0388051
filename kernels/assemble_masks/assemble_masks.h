// Masks from prototypes: prototypes x coefficients, sigmoid, crop, bilinear resize, threshold.
// Source: Bolya et al., YOLACT, ICCV 2019, and its code; bilinear as torch's interpolate with align_corners=False.
#pragma once

#include <cmath>

#include "../native/exponential.h"

namespace vidgraph {

// Prototypes [height][width][channels]; strides count floats and may be negative.
struct Prototypes {
  const float* data;
  int height, width, channels;
  int64_t row_stride, pixel_stride, channel_stride;
};

// What the frame covers of one axis of the prototypes, in prototype pixels.
struct Window {
  float origin, extent;
};

// Whole pixels: columns x1 to x2 - 1, rows y1 to y2 - 1.
struct Region {
  int x1, y1, x2, y2;
};

// Pixel i of the frame mixes pixels cell and cell + 1 of the prototypes, low[i] of one and high[i] of the other.
struct AxisTable {
  const float *low, *high;  // [frame pixels + kOverrun]
  const int32_t* begins;    // [prototype pixels + 1], the first frame pixel whose cell is not below this one
};

constexpr int kMaskChunk = 64;  // pixels whose products are summed together
constexpr int kOverrun = 64;    // pixels that may be read or written beyond the end of a row

constexpr float kMaskThreshold = 0.5f;

// A mask as words of 64 pixels, the leftmost in the lowest bit, `stride` words a row.
struct MaskWords {
  uint64_t* words;
  int64_t stride;
  Region loose;  // what the words cover
  Region tight;  // the pixels that are set; all 0 where there are none
};

namespace KERNEL_ISA {

KERNEL_HD inline float sigmoid(float value) { return 1.f / (1.f + exp_float(-value)); }

// Where the centre of frame pixel `at` lies, in prototype pixels. `scale`: prototype pixels per frame pixel.
KERNEL_HD inline float source_position(int at, float scale, float origin) {
  const float position = (scale * (static_cast<float>(at) + 0.5f) + origin) - 0.5f;
  return position > 0.f ? position : 0.f;
}

// What a frame pixel mixes along one axis: pixels `cell` and `cell` + 1 of the prototypes, `low` of one and `high` of
// the other.
struct Mixture {
  int cell;
  float low, high;
};

// One axis of the resize of `cells` prototype pixels, `scale` of them per frame pixel.
struct Resize {
  int cells;
  float scale, origin;

  KERNEL_HD Mixture at(int pixel) const {
    const float position = source_position(pixel, scale, origin);
    const int whole = static_cast<int>(position), cell = whole < cells - 1 ? whole : cells - 1;
    const float beyond = position - static_cast<float>(cell), high = beyond < 1.f ? beyond : 1.f;
    return {cell, 1.f - high, high};
  }
};

KERNEL_HD inline Resize resize_of(Window window, int cells, int pixels) {
  return {cells, window.extent / static_cast<float>(pixels), window.origin};
}

// First pixel, or end of the pixels, of a crop that one pixel is added to on both sides; `edge` is relative to the
// window.
KERNEL_HD inline int crop_edge(float edge, Window window, int size, float padding) {
  const float padded = (edge * window.extent + window.origin) + padding;
  if (!(padded > 0.f)) return 0;
  return padded < static_cast<float>(size) ? static_cast<int>(ceilf(padded)) : size;
}

// The prototype pixels of a box (two corners in any order, relative to the frame), with one more on each side.
KERNEL_HD inline Region crop_of(const float* box, const Prototypes& prototypes, Window x, Window y) {
  const float any = box[0] + box[1] + box[2] + box[3];
  if (any != any) return {0, 0, 0, 0};
  const bool swapped_x = box[2] < box[0], swapped_y = box[3] < box[1];
  return {crop_edge(box[swapped_x ? 2 : 0], x, prototypes.width, -1.f),
          crop_edge(box[swapped_y ? 3 : 1], y, prototypes.height, -1.f),
          crop_edge(box[swapped_x ? 0 : 2], x, prototypes.width, 1.f),
          crop_edge(box[swapped_y ? 1 : 3], y, prototypes.height, 1.f)};
}

KERNEL_HD inline bool is_empty(Region region) { return region.x1 >= region.x2 || region.y1 >= region.y2; }

KERNEL_HD inline Region common_region(Region a, Region b) {
  return {a.x1 > b.x1 ? a.x1 : b.x1, a.y1 > b.y1 ? a.y1 : b.y1, a.x2 < b.x2 ? a.x2 : b.x2,
          a.y2 < b.y2 ? a.y2 : b.y2};
}

// Bits of a word whose numbers lie from `first` to before `end`.
KERNEL_HD inline uint64_t bits_between(int first, int end) {
  const uint64_t from = first <= 0 ? ~uint64_t{0} : first >= 64 ? 0 : ~uint64_t{0} << first;
  const uint64_t below = end <= 0 ? 0 : end >= 64 ? ~uint64_t{0} : (uint64_t{1} << end) - 1;
  return from & below;
}

}  // namespace KERNEL_ISA

// Bytes of scratch memory for prototypes of this size and rows of `width` frame pixels.
inline size_t mask_workspace(const Prototypes& prototypes, int width) {
  const size_t map = (prototypes.height + 2) * (static_cast<size_t>(prototypes.width) + 2) + 16;
  const size_t row = static_cast<size_t>(width) + 2 * kOverrun;
  const size_t chunk = static_cast<size_t>(kMaskChunk) * prototypes.channels;
  return sizeof(float) * (map + 2 * row + chunk) + sizeof(uint64_t) * 4 * (row / 64 + 1);
}

// Fills the words of `mask` for its loose region, and finds the tight one. `crop`: prototype pixels, not empty; `limits`:
// the pixels of the frame that may be set, null for all of them.
KERNEL_ENTRY(assemble_mask, const Prototypes& prototypes, const float* coefficients, Region crop, const Region* limits,
             AxisTable columns, AxisTable rows, void* workspace, MaskWords* mask)
// What the mask in the crop, which is not empty, is expected to share with the true one, over what they cover together:
// the probabilities of its pixels, over their number and the probabilities of the others. 0 where it has no pixel.
KERNEL_ENTRY(expected_mask_iou, const Prototypes& prototypes, const float* coefficients, Region crop, void* workspace,
             float* iou)
// Writes the tight rows, each padded to a byte, first pixel in the highest bit. Up to 8 bytes beyond are overwritten.
KERNEL_ENTRY(pack_tight, const MaskWords& mask, uint8_t* out)

}  // namespace vidgraph
