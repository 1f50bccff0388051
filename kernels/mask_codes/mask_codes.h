// Run lengths and outlines of a mask from its packed bits.
#pragma once

#include "../native/pack_bits.h"

namespace vidgraph {

// A mask as words of 64 pixels with an empty border of one pixel: pixel (x, y) is bit (x + 1) of row y + 1, the lowest
// bit first. `words` [height + 2][stride].
struct BorderedMask {
  const uint64_t* words;
  int64_t stride;
  int width, height;
};

struct PixelCorner {
  int32_t x, y;
};

inline int64_t bordered_stride(int width) { return (static_cast<int64_t>(width) + 2 + 63) / 64; }

namespace KERNEL_ISA {

KERNEL_HD inline bool is_set(const BorderedMask& mask, int x, int y) {
  return mask.words[(y + 1) * mask.stride + ((x + 1) >> 6)] >> ((x + 1) & 63) & 1;
}

// Steps along the edges of pixels with the mask to the right. Headings: right, down, left, up.
struct Walker {
  int x, y, heading;

  KERNEL_HD void step() {
    x += heading == 0 ? 1 : heading == 2 ? -1 : 0;
    y += heading == 1 ? 1 : heading == 3 ? -1 : 0;
  }

  // True where the outline has a corner. Where two pixels touch at a corner only, it stays with its pixel.
  KERNEL_HD bool turn(const BorderedMask& mask) {
    const int right_x = heading == 0 || heading == 3 ? x : x - 1, right_y = heading < 2 ? y : y - 1;
    const int left_x = heading < 2 ? x : x - 1, left_y = heading == 1 || heading == 2 ? y : y - 1;
    const int turned = !is_set(mask, right_x, right_y) ? 1 : is_set(mask, left_x, left_y) ? 3 : 0;
    heading = (heading + turned) & 3;
    return turned;
  }
};

// One number of COCO's compressed runs: groups of 5 bits, the lowest first, bit 6 says that more follow, 48 added.
// Returns how many characters were written, at most 13.
KERNEL_HD inline int write_number(int64_t value, char* out) {
  int count = 0;
  for (bool more = true; more;) {
    const auto group = static_cast<int>(value & 0x1f);
    value >>= 5;
    more = group & 0x10 ? value != -1 : value != 0;
    out[count++] = static_cast<char>(48 + group + (more ? 0x20 : 0));
  }
  return count;
}

}  // namespace KERNEL_ISA

// `bits`: rows of `width` pixels, each padded to a byte, first pixel in the highest bit. Padding bits are left out.
KERNEL_ENTRY(border_mask, const uint8_t* bits, int width, int height, uint64_t* words)
// How often the value changes down each column, [width], the edges of the mask counting as changes to and from 0.
KERNEL_ENTRY(count_changes, const BorderedMask& mask, int32_t* counts)
// Where it changes: column * frame_height + row, each column's in rising order from next[column] on, which is moved.
KERNEL_ENTRY(list_changes, const BorderedMask& mask, int64_t first, int64_t frame_height, int64_t* next,
             int64_t* changes)
// How many corners the outlines of all parts and holes have together.
KERNEL_ENTRY(count_corners, const BorderedMask& mask, int64_t* count)
// Writes the corners of the exterior outlines one after the other, and where each ends. `visited`: zeros, one for each
// word of the mask.
KERNEL_ENTRY(trace_exteriors, const BorderedMask& mask, uint64_t* visited, PixelCorner* corners, int64_t* ends,
             int64_t* outlines)

}  // namespace vidgraph
