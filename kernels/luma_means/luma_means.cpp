// CPU twin of `luma_means`: the sampled rows of a band of blocks are added up, then the columns of each block.
#include "luma_means.h"

namespace vidgraph::KERNEL_ISA {
namespace {

template <typename Sample>
void add_row(const Sample* __restrict row, int low_bits, int count, uint32_t* __restrict sums) {
  for (int k = 0; k < count; ++k) sums[k] += static_cast<uint32_t>(row[k] >> low_bits);
}

// A block of 256 x 256 samples of 10 bits, or of four times 8 bits, fits 32 bits.
uint32_t sum_of(const uint32_t* values, int count) {
  uint32_t sum = 0;
  for (int k = 0; k < count; ++k) sum += values[k];
  return sum;
}

// Of red + 2 green + blue, four times the luma.
uint32_t rgb_sum_of(const uint32_t* values, int pixels) {
  uint32_t sum = 0;
  for (int k = 0; k < pixels; ++k) sum += values[3 * k] + 2 * values[3 * k + 1] + values[3 * k + 2];
  return sum;
}

template <typename Sample>
void means(const PictureView& picture, int block, uint32_t* sums, uint16_t* out) {
  const Plane& plane = picture.planes[0];
  const bool rgb = picture.kind == Kind::packed_rgb;
  const int width = plane.width, samples = rgb ? 3 * width : width, step = row_step(block);
  const uint64_t unit = rgb || picture.bits > 8 ? 64 : 256;  // of a sum, in 1/256 of an 8-bit step
  for (int top = 0; top < plane.height; top += block) {
    for (int k = 0; k < samples; ++k) sums[k] = 0;
    const int bottom = top + block < plane.height ? top + block : plane.height;
    int rows = 0;
    for (int y = top; y < bottom; y += step, ++rows) {
      add_row(reinterpret_cast<const Sample*>(plane.data + y * plane.stride), picture.low_bits, samples, sums);
    }
    for (int left = 0; left < width; left += block) {
      const int columns = left + block < width ? block : width - left;
      const uint64_t sum = rgb ? rgb_sum_of(sums + 3 * static_cast<ptrdiff_t>(left), columns) : sum_of(sums + left, columns);
      *out++ = static_cast<uint16_t>(sum * unit / (static_cast<uint64_t>(rows) * static_cast<uint64_t>(columns)));
    }
  }
}

}  // namespace

void luma_means(const PictureView& picture, int block, void* workspace, uint16_t* out) {
  auto* sums = static_cast<uint32_t*>(workspace);
  if (picture.bits > 8) {
    means<uint16_t>(picture, block, sums, out);
  } else {
    means<uint8_t>(picture, block, sums, out);
  }
}

}  // namespace vidgraph::KERNEL_ISA
