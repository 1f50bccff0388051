// The samples of a picture as one thread of a CUDA kernel holds them: a chroma sample with the pixels it stands for, or
// a pixel that has all three of its components. A block has a tile of them.
#pragma once

#include "../native/cuda.h"
#include "draw.h"

namespace vidgraph {

constexpr int kDrawThreads = 256;
constexpr int kTileColumns = kWarpLanes, kTileRows = kDrawThreads / kWarpLanes;  // chroma samples of a block, one a thread
constexpr int kMostPixels = 4;                                                   // of a chroma sample

// Where they are: pixel `p` lies in column x[p % 2] and row y[p / 2]. What would lie beyond the picture's odd edge is the
// pixel beside it.
struct Place {
  int column, row;  // of the chroma sample
  int x[2], y[2];
};

// The first component of each pixel, and the two that they may share.
struct Samples {
  uint8_t first[kMostPixels], second, third;
};

struct Tile {
  int column, row;  // of its first chroma sample
};

__device__ inline int columns_of(const PictureView& p) { return (p.planes[0].width + p.shift_x) >> p.shift_x; }
__device__ inline int rows_of(const PictureView& p) { return (p.planes[0].height + p.shift_y) >> p.shift_y; }

__device__ inline Tile tile_of_block(const PictureView& p) {
  const int across = (columns_of(p) + kTileColumns - 1) / kTileColumns, block = static_cast<int>(blockIdx.x);
  return {block % across * kTileColumns, block / across * kTileRows};
}

// Whether chroma samples stand for so many pixels.
__device__ inline bool has_pixel(const PictureView& p, int pixel) {
  return pixel % 2 <= p.shift_x && pixel / 2 <= p.shift_y;
}

// Where this thread is; false if that is beyond the picture.
__device__ inline bool place_of_thread(const PictureView& p, Tile tile, Place* place) {
  const int column = tile.column + static_cast<int>(threadIdx.x) % kTileColumns;
  const int row = tile.row + static_cast<int>(threadIdx.x) / kTileColumns;
  const int x = column << p.shift_x, y = row << p.shift_y;
  const int right = x + p.shift_x, below = y + p.shift_y;
  const int last_x = p.planes[0].width - 1, last_y = p.planes[0].height - 1;
  *place = {column, row, {x, right < last_x ? right : last_x}, {y, below < last_y ? below : last_y}};
  return column < columns_of(p) && row < rows_of(p);
}

__device__ inline uint8_t* first_at(const PictureView& p, int x, int y) {
  return p.planes[0].data + y * static_cast<int64_t>(p.planes[0].stride) + (p.kind == Kind::packed_rgb ? 3 : 1) * x;
}

__device__ inline uint8_t* second_at(const PictureView& p, Place at) {
  if (p.kind == Kind::packed_rgb) return first_at(p, at.x[0], at.y[0]) + 1;
  const int bytes = p.kind == Kind::semi_planar ? 2 : 1;
  return p.planes[1].data + at.row * static_cast<int64_t>(p.planes[1].stride) + bytes * at.column;
}

__device__ inline uint8_t* third_at(const PictureView& p, Place at) {
  if (p.kind != Kind::planar) return second_at(p, at) + 1;
  return p.planes[2].data + at.row * static_cast<int64_t>(p.planes[2].stride) + at.column;
}

__device__ inline Samples read_samples(const PictureView& p, Place at) {
  Samples samples{{0, 0, 0, 0}, *second_at(p, at), *third_at(p, at)};
#pragma unroll
  for (int i = 0; i < kMostPixels; ++i) {
    if (has_pixel(p, i)) samples.first[i] = *first_at(p, at.x[i % 2], at.y[i / 2]);
  }
  return samples;
}

__device__ inline void write_samples(const PictureView& p, Place at, const Samples& samples) {
#pragma unroll
  for (int i = 0; i < kMostPixels; ++i) {
    if (has_pixel(p, i)) *first_at(p, at.x[i % 2], at.y[i / 2]) = samples.first[i];
  }
  *second_at(p, at) = samples.second;
  *third_at(p, at) = samples.third;
}

}  // namespace vidgraph
