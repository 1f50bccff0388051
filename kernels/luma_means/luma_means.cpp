// CPU twin of `luma_means`: the sampled rows of a band of blocks are added up, then the columns of each block.
#include "luma_means.h"

namespace vidgraph::KERNEL_ISA {
namespace {

// At most seven rows of a block are read: their sums fit 16 bits.
template <typename Sample>
void add_row(const Sample* __restrict row, int low_bits, int count, uint16_t* __restrict sums) {
  for (int k = 0; k < count; ++k) sums[k] = static_cast<uint16_t>(sums[k] + (row[k] >> low_bits));
}

uint32_t sum_of(const uint16_t* values, int count) {
  uint32_t sum = 0;
  for (int k = 0; k < count; ++k) sum += values[k];
  return sum;
}

// Of red + 2 green + blue, four times the luma.
uint32_t rgb_sum_of(const uint16_t* values, int pixels) {
  uint32_t sum = 0;
  for (int k = 0; k < pixels; ++k) sum += values[3 * k] + 2u * values[3 * k + 1] + values[3 * k + 2];
  return sum;
}

template <bool kRgb>
uint32_t block_sum(const uint16_t* sums, int left, int columns) {
  return kRgb ? rgb_sum_of(sums + 3 * static_cast<ptrdiff_t>(left), columns) : sum_of(sums + left, columns);
}

// The means of a row of blocks. With kBlock, their side where it is not 0, the sums of whole blocks are unrolled.
template <bool kRgb, int kBlock>
void means_of_row(const uint16_t* sums, int width, int side, uint32_t rows, uint32_t unit, uint16_t* out) {
  const int block = kBlock ? kBlock : side;
  int left = 0;
  for (; left + block <= width; left += block) {
    const uint64_t sum = block_sum<kRgb>(sums, left, kBlock ? kBlock : side);
    *out++ = static_cast<uint16_t>(sum * unit / (rows * static_cast<uint32_t>(block)));
  }
  if (left < width) {
    const uint64_t sum = block_sum<kRgb>(sums, left, width - left);
    *out = static_cast<uint16_t>(sum * unit / (rows * static_cast<uint32_t>(width - left)));
  }
}

template <typename Sample, bool kRgb, int kBlock>
void means(const PictureView& picture, int block, uint16_t* sums, uint16_t* out) {
  const Plane& plane = picture.planes[0];
  const int samples = kRgb ? 3 * plane.width : plane.width, step = row_step(block);
  const uint32_t unit = kRgb || picture.bits > 8 ? 64 : 256;  // of a sum, in 1/256 of an 8-bit step
  for (int top = 0; top < plane.height; top += block) {
    for (int k = 0; k < samples; ++k) sums[k] = 0;
    const int bottom = top + block < plane.height ? top + block : plane.height;
    uint32_t rows = 0;
    for (int y = top; y < bottom; y += step, ++rows) {
      add_row(reinterpret_cast<const Sample*>(plane.data + y * plane.stride), picture.low_bits, samples, sums);
    }
    means_of_row<kRgb, kBlock>(sums, plane.width, block, rows, unit, out);
    out += (plane.width + block - 1) / block;
  }
}

template <typename Sample, bool kRgb>
void means_by_block(const PictureView& picture, int block, uint16_t* sums, uint16_t* out) {
  switch (block) {
    case 8: return means<Sample, kRgb, 8>(picture, block, sums, out);
    case 12: return means<Sample, kRgb, 12>(picture, block, sums, out);
    case 24: return means<Sample, kRgb, 24>(picture, block, sums, out);
    default: return means<Sample, kRgb, 0>(picture, block, sums, out);
  }
}

}  // namespace

void luma_means(const PictureView& picture, int block, void* workspace, uint16_t* out) {
  auto* sums = static_cast<uint16_t*>(workspace);
  if (picture.kind == Kind::packed_rgb) {
    means_by_block<uint8_t, true>(picture, block, sums, out);
  } else if (picture.bits > 8) {
    means_by_block<uint16_t, false>(picture, block, sums, out);
  } else {
    means_by_block<uint8_t, false>(picture, block, sums, out);
  }
}

}  // namespace vidgraph::KERNEL_ISA
