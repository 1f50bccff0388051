// CUDA twin of `luma_means`: a thread adds up a column of the rows that are read, then each block of the picture its
// columns.
#include "../native/cuda.h"
#include "luma_means.h"

namespace vidgraph {
namespace {

constexpr int kThreads = 256;  // at least the largest block's side

// Of a column, as the CPU twin: no more than seven rows, whose sums fit 16 bits.
template <typename Sample>
__device__ inline uint16_t column_sum(const Plane& plane, int column, int top, int bottom, int step, int low_bits) {
  uint16_t sum = 0;
  for (int y = top; y < bottom; y += step) {
    const auto* row = reinterpret_cast<const Sample*>(plane.data + y * plane.stride);
    sum = static_cast<uint16_t>(sum + (row[column] >> low_bits));
  }
  return sum;
}

// Of rgb24, red + 2 green + blue.
__device__ inline uint32_t luma_sum(const PictureView& p, int column, int top, int bottom, int step) {
  const Plane& plane = p.planes[0];
  if (p.bits > 8) return column_sum<uint16_t>(plane, column, top, bottom, step, p.low_bits);
  if (p.kind != Kind::packed_rgb) return column_sum<uint8_t>(plane, column, top, bottom, step, 0);
  uint32_t sum = 0;
  for (int y = top; y < bottom; y += step) {
    const uint8_t* pixel = plane.data + y * plane.stride + 3 * column;
    sum += pixel[0] + 2u * pixel[1] + pixel[2];
  }
  return sum;
}

}  // namespace

// `out` [ceil(height / side)][ceil(width / side)]. A block of threads takes as many blocks of the picture, side by
// side, as it has threads for their columns.
CUDA_KERNEL(kThreads) luma_means_tiles(PictureView picture, int side, uint16_t* out) {
  __shared__ uint32_t sums[kThreads];
  const Plane& plane = picture.planes[0];
  const int thread = static_cast<int>(threadIdx.x), per_tile = kThreads / side;
  const int across = (plane.width + side - 1) / side, tiles = (across + per_tile - 1) / per_tile;
  const int row = static_cast<int>(blockIdx.x) / tiles, first = static_cast<int>(blockIdx.x) % tiles * per_tile;
  const int top = row * side, step = KERNEL_ISA::row_step(side);
  const int bottom = top + side < plane.height ? top + side : plane.height;
  sums[thread] = 0;
  __syncthreads();
  const int block = thread / side, column = first * side + thread;
  if (block < per_tile && column < plane.width) {
    atomicAdd(&sums[block], luma_sum(picture, column, top, bottom, step));
  }
  __syncthreads();
  if (thread >= per_tile || first + thread >= across) return;
  const int left = (first + thread) * side, columns = plane.width - left < side ? plane.width - left : side;
  const auto rows = static_cast<uint32_t>((bottom - top + step - 1) / step);
  const uint64_t unit = picture.kind == Kind::packed_rgb || picture.bits > 8 ? 64 : 256;
  const uint64_t mean = sums[thread] * unit / (rows * static_cast<uint32_t>(columns));
  out[static_cast<size_t>(row) * across + first + thread] = static_cast<uint16_t>(mean);
}

}  // namespace vidgraph
