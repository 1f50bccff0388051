// CPU twins of the mask codes: bits are visited a word at a time, so what is uniform costs nothing.
#include "mask_codes.h"

#include <cstring>

namespace vidgraph::KERNEL_ISA {
namespace {

// Word w of a row, the first pixel in the lowest bit, cut to the row.
inline uint64_t row_word(const uint8_t* row, int bytes, int width, int w) {
  uint64_t word = 0;
  const int left = bytes - 8 * w;
  if (left >= 8) {
    std::memcpy(&word, row + 8 * w, sizeof(word));
  } else {
    for (int i = 0; i < left; ++i) word |= static_cast<uint64_t>(row[8 * w + i]) << 8 * i;
  }
  word = bytes_mirrored(word);
  const int pixels = width - 64 * w;
  return pixels < 64 ? word & ((UINT64_C(1) << pixels) - 1) : word;
}

template <typename Visit>
void for_each_change(const BorderedMask& mask, Visit visit) {
  for (int y = 0; y <= mask.height; ++y) {
    const uint64_t *above = mask.words + y * mask.stride, *row = above + mask.stride;
    for (int64_t w = 0; w < mask.stride; ++w) {
      for (uint64_t changed = above[w] ^ row[w]; changed; changed &= changed - 1) {
        visit(static_cast<int>(64 * w) + __builtin_ctzll(changed) - 1, y);
      }
    }
  }
}

// Where a pixel is set and the one above is not.
inline uint64_t top_edges(const BorderedMask& mask, int y, int64_t w) {
  const int64_t at = (y + 1) * mask.stride + w;
  return mask.words[at] & ~mask.words[at - mask.stride];
}

// Follows the outline that leaves (x, y) to the right, and marks the pixels whose top edges it runs along. Returns the
// number of corners; twice the area within, negative for a hole, is added to `twice_area`.
int64_t trace(const BorderedMask& mask, int x, int y, uint64_t* visited, PixelCorner* corners, int64_t* twice_area) {
  Walker walker{x, y, 0};
  int64_t count = 0;
  corners[count++] = {x, y};
  for (;;) {
    if (walker.heading == 0) {
      const int bit = walker.x + 1;
      visited[(walker.y + 1) * mask.stride + (bit >> 6)] |= UINT64_C(1) << (bit & 63);
    }
    walker.step();
    const bool corner = walker.turn(mask);
    const bool closed = walker.x == x && walker.y == y && walker.heading == 0;
    if (corner) {
      const PixelCorner last = corners[count - 1];
      *twice_area += static_cast<int64_t>(last.x) * walker.y - static_cast<int64_t>(walker.x) * last.y;
      if (!closed) corners[count++] = {walker.x, walker.y};
    }
    if (closed) return count;
  }
}

}  // namespace

void border_mask(const uint8_t* bits, int width, int height, uint64_t* words) {
  const int64_t stride = bordered_stride(width);
  const int bytes = (width + 7) / 8, full = (width + 63) / 64;
  std::memset(words, 0, sizeof(uint64_t) * stride);
  std::memset(words + (height + 1) * stride, 0, sizeof(uint64_t) * stride);
  for (int y = 0; y < height; ++y, bits += bytes) {
    uint64_t *row = words + (y + 1) * stride, carried = 0;
    for (int64_t w = 0; w < stride; ++w) {
      const uint64_t word = w < full ? row_word(bits, bytes, width, static_cast<int>(w)) : 0;
      row[w] = word << 1 | carried;
      carried = word >> 63;
    }
  }
}

void count_changes(const BorderedMask& mask, int32_t* counts) {
  for (int x = 0; x < mask.width; ++x) counts[x] = 0;
  for_each_change(mask, [=](int x, int) { ++counts[x]; });
}

void list_changes(const BorderedMask& mask, int64_t first, int64_t frame_height, int64_t* next, int64_t* changes) {
  for_each_change(mask, [=](int x, int y) { changes[next[x]++] = first + x * frame_height + y; });
}

void count_corners(const BorderedMask& mask, int64_t* count) {
  int64_t corners = 0;
  for (int y = 0; y <= mask.height; ++y) {
    const uint64_t *above = mask.words + y * mask.stride, *row = above + mask.stride;
    uint64_t above_left = 0, row_left = 0;
    for (int64_t w = 0; w < mask.stride; ++w) {
      const uint64_t a = above[w] << 1 | above_left, b = above[w], c = row[w] << 1 | row_left, d = row[w];
      above_left = b >> 63;
      row_left = d >> 63;
      const uint64_t touching = (a ^ b) & (a ^ c) & ~(a ^ d);  // two pixels across: two corners
      corners += __builtin_popcountll(a ^ b ^ c ^ d) + 2 * __builtin_popcountll(touching);
    }
  }
  *count = corners;
}

void trace_exteriors(const BorderedMask& mask, uint64_t* visited, PixelCorner* corners, int64_t* ends,
                     int64_t* outlines) {
  int64_t used = 0, found = 0;
  for (int y = 0; y < mask.height; ++y) {
    for (int64_t w = 0; w < mask.stride; ++w) {
      uint64_t* seen = visited + (y + 1) * mask.stride + w;
      while (const uint64_t edges = top_edges(mask, y, w) & ~*seen) {
        const int x = static_cast<int>(64 * w) + __builtin_ctzll(edges) - 1;
        int64_t twice_area = 0;
        const int64_t count = trace(mask, x, y, visited, corners + used, &twice_area);
        if (twice_area < 0) continue;  // a hole: what was written is overwritten
        used += count;
        ends[found++] = used;
      }
    }
  }
  *outlines = found;
}

}  // namespace vidgraph::KERNEL_ISA
