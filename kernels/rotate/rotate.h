// Where a pixel comes from when a picture is turned, on values.
#pragma once

#include "../native/kernel.h"

namespace vidgraph {
namespace KERNEL_ISA {

struct Source {
  int y, x;
};

struct Columns {
  int low, high;
};

// Pixel of a `height` by `width` source that lands on (y, x) of the picture turned clockwise.
KERNEL_HD inline Source rotated_from(int y, int x, int height, int width, int degrees) {
  if (degrees == 90) return {height - 1 - x, y};
  if (degrees == 180) return {height - 1 - y, width - 1 - x};
  return {x, width - 1 - y};
}

// 4:2:2 chroma has half the columns of luma. The two of them that row `y` of a picture turned by a quarter lies between
// or on, held at the `last` one; turned by 270 degrees, its `height` rows count from the bottom.
KERNEL_HD inline Columns columns_between(int y, int degrees, int height, int last) {
  const int from_edge = degrees == 90 ? y : height - 1 - y, high = (from_edge + 1) >> 1;
  return {from_edge >> 1, high < last ? high : last};
}

// The mean of three doubled samples, weighted 1, 2, 1.
KERNEL_HD inline int halved(int before, int middle, int after) { return (before + 2 * middle + after + 4) >> 3; }

}  // namespace KERNEL_ISA

// `pixel_bytes`: 1, 2, 3 or 4. `out` is contiguous. Pixels of 2 or 4 bytes lie at multiples of that.
KERNEL_ENTRY(rotate_plane, const Plane& plane, int pixel_bytes, int degrees, uint8_t* out)
// The same for pixels of 2 or 4 bytes at any address, as they may be pairs of samples.
KERNEL_ENTRY(rotate_misaligned, const Plane& plane, int pixel_bytes, int degrees, uint8_t* out)

// Bytes of scratch memory for the following.
inline size_t rotate_workspace(const Plane& chroma) {
  const size_t area = static_cast<size_t>(chroma.width) * chroma.height;
  return (area + chroma.height + 4) * sizeof(uint16_t);
}

// 4:2:2 chroma turned by a quarter: sampled anew, because rows become columns. `height`, `width`: of the turned luma.
KERNEL_ENTRY(rotate_chroma_422, const Plane& plane, int sample_bytes, int degrees, int height, int width,
             void* workspace, uint8_t* out)

}  // namespace vidgraph
