// CPU twins of the drawing kernels. All of them are rows of alpha blended with one colour; a chroma sample takes the
// mean alpha of the pixels it stands for.
#include "draw.h"

#include <cstring>

#include "tint.h"

namespace vidgraph::KERNEL_ISA {
namespace {

int smaller(int a, int b) { return a < b ? a : b; }
int larger(int a, int b) { return a > b ? a : b; }

void blend_row(uint8_t* __restrict row, const uint8_t* __restrict alpha, int count, uint8_t value) {
  for (int x = 0; x < count; ++x) row[x] = blend(row[x], value, alpha[x]);
}

void blend_pairs(uint8_t* __restrict row, const uint8_t* __restrict alpha, int count, uint8_t first, uint8_t second) {
  for (int x = 0; x < count; ++x) {
    row[2 * x] = blend(row[2 * x], first, alpha[x]);
    row[2 * x + 1] = blend(row[2 * x + 1], second, alpha[x]);
  }
}

void blend_rgb(uint8_t* __restrict row, const uint8_t* __restrict alpha, int count, Paint paint) {
  for (int x = 0; x < count; ++x) {
    for (int c = 0; c < 3; ++c) row[3 * x + c] = blend(row[3 * x + c], paint.value[c], alpha[x]);
  }
}

uint8_t* row_at(const Plane& plane, int y) { return plane.data + y * plane.stride; }

// Chroma rows under the alpha rows that were added since the last one was blended.
struct ChromaRow {
  const PictureView& picture;
  PixelRect rect;
  uint16_t* sums;   // alpha per chroma sample
  uint8_t* alpha;   // their means
  int first, count; // chroma columns

  void clear() { std::memset(sums, 0, sizeof(uint16_t) * count); }

  // `row` starts at an even column where chroma is halved; `weight` 2 stands in for a row below the picture.
  void add(const uint8_t* __restrict row, uint16_t weight) {
    uint16_t* __restrict total = sums;
    if (picture.shift_x) {
      for (int k = 0; k < count; ++k) total[k] = static_cast<uint16_t>(total[k] + weight * (row[2 * k] + row[2 * k + 1]));
    } else {
      for (int k = 0; k < count; ++k) total[k] = static_cast<uint16_t>(total[k] + weight * row[k]);
    }
  }

  void blend_into(int chroma_y, Paint paint) {
    const int shift = picture.shift_x + picture.shift_y, half = shift ? 1 << (shift - 1) : 0;
    for (int k = 0; k < count; ++k) alpha[k] = static_cast<uint8_t>((sums[k] + half) >> shift);
    if (picture.kind == Kind::semi_planar) {
      blend_pairs(row_at(picture.planes[1], chroma_y) + 2 * first, alpha, count, paint.value[1], paint.value[2]);
    } else {
      blend_row(row_at(picture.planes[1], chroma_y) + first, alpha, count, paint.value[1]);
      blend_row(row_at(picture.planes[2], chroma_y) + first, alpha, count, paint.value[2]);
    }
  }
};

// Row `y` of alpha, `count` pixels from column `x1`, is written by row_alpha(y, alpha). The rectangle is inside.
template <typename RowAlpha>
void blend_yuv(const PictureView& picture, PixelRect rect, Paint paint, RowAlpha row_alpha, uint8_t* workspace) {
  const Plane& luma = picture.planes[0];
  const int count = rect.x2 - rect.x1, lead = picture.shift_x ? rect.x1 & 1 : 0;
  const int first = rect.x1 >> picture.shift_x, last = (rect.x2 - 1) >> picture.shift_x;
  const size_t padded = static_cast<size_t>(luma.width) + 64;
  uint8_t* row = workspace;
  ChromaRow chroma{picture, rect, reinterpret_cast<uint16_t*>(workspace + 2 * padded), workspace + 4 * padded,
                   first, last - first + 1};
  chroma.clear();
  for (int y = rect.y1; y < rect.y2; ++y) {
    row[0] = 0;
    row_alpha(y, row + lead);
    blend_row(row_at(luma, y) + rect.x1, row + lead, count, paint.value[0]);
    row[lead + count] = rect.x2 == luma.width ? row[lead + count - 1] : 0;  // a sample half outside takes one pixel's
    const bool bottom = y == luma.height - 1;
    const bool lone = picture.shift_y && bottom && !(y & 1);
    chroma.add(row, lone ? 2 : 1);
    if (!picture.shift_y || (y & 1) || y == rect.y2 - 1) {
      chroma.blend_into(y >> picture.shift_y, paint);
      chroma.clear();
    }
  }
}

template <typename RowAlpha>
void blend_rows(const PictureView& picture, PixelRect rect, Paint paint, RowAlpha row_alpha, void* workspace) {
  const PixelRect inside{larger(rect.x1, 0), larger(rect.y1, 0), smaller(rect.x2, picture.planes[0].width),
                         smaller(rect.y2, picture.planes[0].height)};
  if (inside.x1 >= inside.x2 || inside.y1 >= inside.y2) return;
  auto* alpha = static_cast<uint8_t*>(workspace);
  const auto row_inside = [&](int y, uint8_t* row) { row_alpha(inside, y, row); };
  if (picture.kind != Kind::packed_rgb) return blend_yuv(picture, inside, paint, row_inside, alpha);
  for (int y = inside.y1; y < inside.y2; ++y) {
    row_inside(y, alpha);
    blend_rgb(row_at(picture.planes[0], y) + 3 * inside.x1, alpha, inside.x2 - inside.x1, paint);
  }
}

constexpr int kBand = 16;  // rows that all masks are drawn on before the next ones
constexpr int kWord = 64;  // pixels

// The bits of one mask in some rows of the picture.
class MaskRows {
 public:
  // Rows `top` to `bottom` - 1, of which `top` is even.
  MaskRows(const MaskList& masks, int64_t i, const Plane& plane, int top, int bottom)
      : bits_(masks.bits),
        length_(masks.length),
        first_(masks.offsets[i]),
        rect_(masks.rects[i]),
        stride_((static_cast<int64_t>(rect_.x2) - rect_.x1 + 7) / 8),
        inside_{larger(rect_.x1, 0), larger(rect_.y1, top), smaller(rect_.x2, plane.width), smaller(rect_.y2, bottom)} {}

  bool empty() const { return inside_.x1 >= inside_.x2 || inside_.y1 >= inside_.y2; }
  PixelRect inside() const { return inside_; }
  int first_column() const { return inside_.x1 / kWord * kWord; }

  // Pixels x to x + kWord - 1 of row y, the first in the highest bit; 0 outside of the mask and of the picture.
  uint64_t word(int x, int y) const {
    if (y < inside_.y1 || y >= inside_.y2) return 0;
    const int skipped = x - rect_.x1;
    uint64_t word = word_at(first_ + (y - rect_.y1) * stride_ + (skipped >> 3), skipped & 7);
    if (x < inside_.x1) word &= ~UINT64_C(0) >> (inside_.x1 - x);
    if (x + kWord > inside_.x2) word &= ~UINT64_C(0) << (x + kWord - inside_.x2);
    return word;
  }

 private:
  // 64 bits from bit `skipped` of byte `at`. Bytes beyond the row are read too, but not beyond all masks.
  uint64_t word_at(int64_t at, int skipped) const {
    uint8_t bytes[9] = {};
    const bool whole = at >= 0 && at + 9 <= length_;
    for (int i = 0; i < 9 && !whole; ++i) bytes[i] = at + i >= 0 && at + i < length_ ? bits_[at + i] : 0;
    const uint8_t* from = whole ? bits_ + at : bytes;
    uint64_t word;
    std::memcpy(&word, from, sizeof(word));
    return __builtin_bswap64(word) << skipped | static_cast<uint64_t>(from[8] >> (8 - skipped));
  }

  const uint8_t* bits_;
  int64_t length_, first_;
  PixelRect rect_;
  int64_t stride_;
  PixelRect inside_;
};

// Calls `change` on `wanted` bytes at `bytes`, of which so many are there.
template <typename Change>
void change_bytes(uint8_t* bytes, int there, int wanted, Change change) {
  if (there >= wanted) return change(bytes);
  uint8_t held[3 * kUnit] = {};
  std::memcpy(held, bytes, there);
  change(held);
  std::memcpy(bytes, held, there);
}

// Calls `change` on each unit of a word, with its place and its bits in the highest ones, where any is set.
template <typename Change>
void for_units(int x, uint64_t word, Change change) {
  for (; word; x += kUnit, word = kUnit < kWord ? word << kUnit % kWord : 0) {
    if (word & kUnitBits) change(x, word & kUnitBits);
  }
}

constexpr int kAhead = 4;  // rows

// Asks for what a later row needs; the processor foresees it along a row only, and the rows of a mask are short.
inline void fetch_ahead(const Plane& plane, int y, int at, int lines) {
  if (y + kAhead >= plane.height) return;
  const uint8_t* from = row_at(plane, y + kAhead) + at;
  for (int i = 0; i < lines; ++i) __builtin_prefetch(from + 64 * i, 1);
}

template <int kChannels>
void tint_pixels(const Plane& plane, int x, int y, uint64_t word, const PixelTint<kChannels>& tint) {
  uint8_t* row = row_at(plane, y);
  fetch_ahead(plane, y, kChannels * x, kChannels);
  for_units(x, word, [&](int at, uint64_t bits) {
    change_bytes(row + kChannels * at, kChannels * (plane.width - at), kChannels * kUnit,
                 [&](uint8_t* pixels) { tint.apply(bits, pixels); });
  });
}

void tint_rgb(const PictureView& picture, const MaskRows& rows, Paint paint, uint8_t alpha) {
  const PixelTint<3> tint(paint.value, alpha);
  const PixelRect inside = rows.inside();
  for (int y = inside.y1; y < inside.y2; ++y) {
    for (int x = rows.first_column(); x < inside.x2; x += kWord) {
      tint_pixels(picture.planes[0], x, y, rows.word(x, y), tint);
    }
  }
}

// Chroma samples of kWord pixels; a sample that lies half outside of the picture takes what the pixel inside has.
void tint_halved(const PictureView& picture, int x, int y, uint64_t word, uint64_t word_below,
                 const HalvedTint& tint) {
  const int last = picture.planes[0].width - 1;
  if (last % 2 == 0 && last < x + kWord) {
    const uint64_t beyond = UINT64_C(1) << (kWord - 2 - (last - x));
    word |= word >> 1 & beyond;
    word_below |= word_below >> 1 & beyond;
  }
  uint8_t* first = row_at(picture.planes[1], y);
  uint8_t* second = picture.kind == Kind::planar ? row_at(picture.planes[2], y) : nullptr;
  fetch_ahead(picture.planes[1], y, second ? x / 2 : x, 1);
  if (second) fetch_ahead(picture.planes[2], y, x / 2, 1);
  for_units(x, word | word_below, [&](int at, uint64_t) {
    const Pairs alphas = tint.alphas(word << (at - x), word_below << (at - x));
    const int there = picture.planes[1].width - at / 2;
    if (!second) {
      change_bytes(first + at, 2 * there, kUnit, [&](uint8_t* both) { tint.apply_interleaved(alphas, both); });
      return;
    }
    change_bytes(first + at / 2, there, kUnit / 2, [&](uint8_t* samples) { tint.apply(alphas, 0, samples); });
    change_bytes(second + at / 2, there, kUnit / 2, [&](uint8_t* samples) { tint.apply(alphas, 1, samples); });
  });
}

void tint_yuv(const PictureView& picture, const MaskRows& rows, Paint paint, uint8_t alpha) {
  const Plane* planes = picture.planes;
  const PixelTint<1> luma(paint.value, alpha), u(paint.value + 1, alpha), v(paint.value + 2, alpha);
  const HalvedTint halved(paint.value + 1, alpha, picture.shift_x + picture.shift_y);
  const PixelRect inside = rows.inside();
  const int step = 1 << picture.shift_y;
  for (int y = inside.y1 / step * step; y < inside.y2; y += step) {
    for (int x = rows.first_column(); x < inside.x2; x += kWord) {
      const uint64_t word = rows.word(x, y);
      uint64_t below = step == 2 ? rows.word(x, y + 1) : 0;
      if (!(word | below)) continue;
      if (word) tint_pixels(planes[0], x, y, word, luma);
      if (below) tint_pixels(planes[0], x, y + 1, below, luma);
      if (picture.shift_x) {
        if (step == 2 && y + 1 == planes[0].height) below = word;
        tint_halved(picture, x, y / step, word, below, halved);
      } else {
        tint_pixels(planes[1], x, y, word, u);
        tint_pixels(planes[2], x, y, word, v);
      }
    }
  }
}

}  // namespace

void draw_rect(const PictureView& picture, PixelRect rect, Paint paint, uint8_t alpha, void* workspace) {
  const auto constant = [=](PixelRect inside, int, uint8_t* row) { std::memset(row, alpha, inside.x2 - inside.x1); };
  blend_rows(picture, rect, paint, constant, workspace);
}

void draw_disc(const PictureView& picture, Disc disc, Paint paint, void* workspace) {
  const int width = picture.planes[0].width, height = picture.planes[0].height;
  const float reach = disc.radius + 1.f;
  const PixelRect rect{nearest_pixel(disc.x - reach, -1, width), nearest_pixel(disc.y - reach, -1, height),
                       nearest_pixel(disc.x + reach, -1, width), nearest_pixel(disc.y + reach, -1, height)};
  const auto row_alpha = [=](PixelRect inside, int y, uint8_t* row) {
    for (int x = inside.x1; x < inside.x2; ++x) row[x - inside.x1] = disc_coverage(disc, x, y);
  };
  blend_rows(picture, rect, paint, row_alpha, workspace);
}

void draw_alpha(const PictureView& picture, PixelRect rect, const uint8_t* mask, Paint paint, uint8_t alpha,
                void* workspace) {
  const ptrdiff_t stride = rect.x2 - rect.x1;
  const auto row_alpha = [=](PixelRect inside, int y, uint8_t* __restrict row) {
    const uint8_t* from = mask + (y - rect.y1) * stride + (inside.x1 - rect.x1);
    for (int x = 0; x < inside.x2 - inside.x1; ++x) row[x] = blend(0, from[x], alpha);
  };
  blend_rows(picture, rect, paint, row_alpha, workspace);
}

void draw_masks(const PictureView& picture, const MaskList& masks) {
  for (int top = 0; top < picture.planes[0].height; top += kBand) {
    const int bottom = smaller(top + kBand, picture.planes[0].height);
    for (int64_t i = 0; i < masks.count; ++i) {
      const MaskRows rows(masks, i, picture.planes[0], top, bottom);
      if (rows.empty()) continue;
      const auto tint = picture.kind == Kind::packed_rgb ? tint_rgb : tint_yuv;
      tint(picture, rows, masks.paints[i], masks.alpha);
    }
  }
}

}  // namespace vidgraph::KERNEL_ISA
