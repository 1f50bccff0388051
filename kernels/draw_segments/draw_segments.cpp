// CPU twin of the drawing of segments: a row of tints is looked up, then blended into the planes.
#include "draw_segments.h"

#include <cstring>

namespace vidgraph::KERNEL_ISA {
namespace {

uint8_t* row_at(const Plane& plane, int64_t y) { return plane.data + y * plane.stride; }

// The tints of a row of pixels; the last one twice, for a chroma sample that is half outside.
void look_up(const SegmentTints& tints, const int32_t* __restrict ids, int count, Tint* __restrict row) {
  const Tint* __restrict of = tints.of;
  const int32_t known = tints.count;
  for (int x = 0; x < count; ++x) {
    const int32_t id = ids[x];
    row[x] = of[id >= 0 && id < known ? id : 0];
  }
  row[count] = row[count - 1];
}

void blend_luma(uint8_t* __restrict row, const Tint* __restrict tints, int count) {
  for (int x = 0; x < count; ++x) {
    row[x] = blend(row[x], static_cast<uint8_t>(tints[x]), static_cast<uint8_t>(tints[x] >> 24));
  }
}

// `bytes` has room for two rows of packed RGB, and a byte.
void blend_packed(uint8_t* __restrict row, const Tint* tints, int count, uint8_t* bytes) {
  const size_t length = 3 * static_cast<size_t>(count) + 1;
  uint8_t *__restrict over = bytes, *__restrict alpha = bytes + length;
  for (int x = 0; x < count; ++x) {  // four bytes at a time; the next pixel overwrites the fourth
    const Tint alphas = (tints[x] >> 24) * 0x01010101u;
    std::memcpy(over + 3 * static_cast<size_t>(x), &tints[x], sizeof(Tint));
    std::memcpy(alpha + 3 * static_cast<size_t>(x), &alphas, sizeof(Tint));
  }
  for (size_t i = 0; i + 1 < length; ++i) row[i] = blend(row[i], over[i], alpha[i]);
}

// Sums over the pixels of each chroma sample of a row of samples.
struct ChromaSums {
  uint32_t *alpha, *u, *v;
  int count;

  void clear() {
    for (int k = 0; k < count; ++k) alpha[k] = u[k] = v[k] = 0;
  }

  void add_one(Tint tint, int k, uint32_t weight) {
    const uint32_t share = weight * tint_part(tint, 3);
    alpha[k] += share;
    u[k] += share * tint_part(tint, 1);
    v[k] += share * tint_part(tint, 2);
  }

  // `weight` 2 stands in for a row below the picture.
  void add(const Tint* row, bool halved, uint32_t weight) {
    if (halved) {
      for (int k = 0; k < count; ++k) {
        add_one(row[2 * k], k, weight);
        add_one(row[2 * k + 1], k, weight);
      }
    } else {
      for (int k = 0; k < count; ++k) add_one(row[k], k, weight);
    }
  }
};

void blend_pairs(uint8_t* __restrict row, const ChromaSums& sums, int shift) {
  for (int k = 0; k < sums.count; ++k) {
    row[2 * k] = blend_mean(row[2 * k], sums.alpha[k], sums.u[k], shift);
    row[2 * k + 1] = blend_mean(row[2 * k + 1], sums.alpha[k], sums.v[k], shift);
  }
}

void blend_samples(uint8_t* __restrict row, const uint32_t* alphas, const uint32_t* parts, int count, int shift) {
  for (int k = 0; k < count; ++k) row[k] = blend_mean(row[k], alphas[k], parts[k], shift);
}

void blend_chroma(const PictureView& picture, const ChromaSums& sums, int64_t y) {
  const int shift = picture.shift_x + picture.shift_y;
  if (picture.kind == Kind::semi_planar) {
    blend_pairs(row_at(picture.planes[1], y), sums, shift);
  } else {
    blend_samples(row_at(picture.planes[1], y), sums.alpha, sums.u, sums.count, shift);
    blend_samples(row_at(picture.planes[2], y), sums.alpha, sums.v, sums.count, shift);
  }
}

}  // namespace

void draw_segments(const PictureView& picture, const SegmentTints& tints, void* workspace) {
  const Plane& first = picture.planes[0];
  const int64_t width = first.width;
  auto* row = static_cast<Tint*>(workspace);
  uint32_t* rest = row + width + 1;
  if (picture.kind == Kind::packed_rgb) {
    for (int64_t y = 0; y < first.height; ++y) {
      look_up(tints, tints.ids + y * width, first.width, row);
      blend_packed(row_at(first, y), row, first.width, reinterpret_cast<uint8_t*>(rest));
    }
    return;
  }
  const int columns = (first.width + picture.shift_x) >> picture.shift_x;
  ChromaSums sums{rest, rest + columns, rest + 2 * columns, columns};
  sums.clear();
  for (int64_t y = 0; y < first.height; ++y) {
    look_up(tints, tints.ids + y * width, first.width, row);
    blend_luma(row_at(first, y), row, first.width);
    const bool bottom = y == first.height - 1, upper = picture.shift_y && !(y & 1);
    sums.add(row, picture.shift_x != 0, upper && bottom ? 2 : 1);
    if (upper && !bottom) continue;
    blend_chroma(picture, sums, y >> picture.shift_y);
    sums.clear();
  }
}

}  // namespace vidgraph::KERNEL_ISA
