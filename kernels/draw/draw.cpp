// CPU twins of the drawing kernels. All of them are rows of alpha blended with one colour; a chroma sample takes the
// mean alpha of the pixels it stands for.
#include "draw.h"

#include <cstring>

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

constexpr int kTile = 16;  // pixels that are tinted together

// One colour with one alpha over packed RGB: what `blend` adds to each of a tile's bytes, and the share that is kept.
struct TileTint {
  uint16_t added[3 * kTile];
  uint8_t kept;
};

TileTint tile_tint(Paint paint, uint8_t alpha) {
  TileTint tint;
  for (int i = 0; i < 3 * kTile; ++i) tint.added[i] = static_cast<uint16_t>(paint.value[i % 3] * alpha + 128);
  tint.kept = static_cast<uint8_t>(255 - alpha);
  return tint;
}

// For each byte of a mask, which of the bytes of its eight pixels are set: 255 or 0.
struct ByteMasks {
  uint8_t of[256][3 * 8];
};

constexpr ByteMasks byte_masks() {
  ByteMasks masks{};
  for (int bits = 0; bits < 256; ++bits) {
    for (int i = 0; i < 3 * 8; ++i) masks.of[bits][i] = bits >> (7 - i / 3) & 1 ? 255 : 0;
  }
  return masks;
}

constexpr ByteMasks kByteMasks = byte_masks();

// As `blend` of every byte.
inline uint8_t tinted(uint8_t under, const TileTint& tint, int i) {
  const auto sum = static_cast<uint16_t>(under * tint.kept + tint.added[i]);
  return static_cast<uint8_t>(static_cast<uint16_t>(sum + (sum >> 8)) >> 8);
}

void tint_tile(uint8_t* __restrict row, const TileTint& tint) {
  for (int i = 0; i < 3 * kTile; ++i) row[i] = tinted(row[i], tint, i);
}

void tint_tile_where(uint8_t* __restrict row, const TileTint& tint, const uint8_t* bits) {
  uint8_t mask[3 * kTile];
  std::memcpy(mask, kByteMasks.of[bits[0]], 3 * 8);
  std::memcpy(mask + 3 * 8, kByteMasks.of[bits[1]], 3 * 8);
  for (int i = 0; i < 3 * kTile; ++i) {
    row[i] = static_cast<uint8_t>((tinted(row[i], tint, i) & mask[i]) | (row[i] & ~mask[i]));
  }
}

// Eight pixels of a mask as eight bytes, `alpha` or 0; the first pixel is the highest bit and the lowest address.
uint64_t spread_byte(uint8_t bits, uint8_t alpha) {
  const uint64_t single = bits * UINT64_C(0x0101010101010101) & UINT64_C(0x0102040810204080);
  return ((single + UINT64_C(0x7f7f7f7f7f7f7f7f)) >> 7 & UINT64_C(0x0101010101010101)) * alpha;
}

void unpack_bits(const uint8_t* bits, int first, int count, uint8_t alpha, uint8_t* __restrict row) {
  const auto one = [=](int x) { return (bits[(x + first) >> 3] >> (7 - ((x + first) & 7))) & 1 ? alpha : uint8_t{0}; };
  int x = 0;
  for (; x < count && (x + first) % 8; ++x) row[x] = one(x);
  for (; x + 8 <= count; x += 8) {
    const uint64_t eight = spread_byte(bits[(x + first) >> 3], alpha);
    std::memcpy(row + x, &eight, sizeof(eight));
  }
  for (; x < count; ++x) row[x] = one(x);
}

// A row of a mask over packed RGB. Most tiles are empty or full.
void tint_row(const uint8_t* bits, int count, Paint paint, uint8_t alpha, const TileTint& tint, uint8_t* row) {
  int x = 0;
  for (; x + kTile <= count; x += kTile) {
    uint16_t set;
    std::memcpy(&set, bits + x / 8, sizeof(set));
    if (!set) continue;
    if (set == 0xffff) {
      tint_tile(row + 3 * x, tint);
    } else {
      tint_tile_where(row + 3 * x, tint, bits + x / 8);
    }
  }
  uint8_t alphas[kTile];
  unpack_bits(bits + x / 8, 0, count - x, alpha, alphas);
  blend_rgb(row + 3 * x, alphas, count - x, paint);
}

bool lies_inside(const Plane& plane, PixelRect rect) {
  return rect.x1 >= 0 && rect.y1 >= 0 && rect.x2 <= plane.width && rect.y2 <= plane.height;
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

void draw_bits(const PictureView& picture, PixelRect rect, const uint8_t* bits, Paint paint, uint8_t alpha,
               void* workspace) {
  const ptrdiff_t stride = (static_cast<ptrdiff_t>(rect.x2) - rect.x1 + 7) / 8;
  const Plane& first = picture.planes[0];
  if (picture.kind == Kind::packed_rgb && lies_inside(first, rect)) {
    const TileTint tint = tile_tint(paint, alpha);
    for (int y = rect.y1; y < rect.y2; ++y) {
      const uint8_t* row_bits = bits + (y - rect.y1) * stride;
      tint_row(row_bits, rect.x2 - rect.x1, paint, alpha, tint, row_at(first, y) + 3 * static_cast<int64_t>(rect.x1));
    }
    return;
  }
  const auto row_alpha = [=](PixelRect inside, int y, uint8_t* row) {
    unpack_bits(bits + (y - rect.y1) * stride, inside.x1 - rect.x1, inside.x2 - inside.x1, alpha, row);
  };
  blend_rows(picture, rect, paint, row_alpha, workspace);
}

}  // namespace vidgraph::KERNEL_ISA
