// Tinting a picture by a map of segments.
#pragma once

#include "../draw/draw.h"

namespace vidgraph {

// What tints the pixels of a segment: its colour in the picture's components, and its alpha in the highest byte. A
// segment that is not drawn has 0.
using Tint = uint32_t;

struct SegmentTints {
  const int32_t* ids;  // [height][width]
  const Tint* of;      // [count], by id; of[0] is 0
  int32_t count;
};

KERNEL_HD inline Tint tint_of(Paint paint, uint8_t alpha) {
  return static_cast<Tint>(paint.value[0]) | static_cast<Tint>(paint.value[1]) << 8 |
         static_cast<Tint>(paint.value[2]) << 16 | static_cast<Tint>(alpha) << 24;
}

namespace KERNEL_ISA {

// Component 0, 1 or 2 of a tint; 3 is its alpha.
KERNEL_HD inline uint32_t tint_part(Tint tint, int part) { return tint >> 8 * part & 0xff; }

// A chroma sample under 1 << `shift` pixels: the mean over them of what is blended with it, rounded once. `alphas` and
// `parts` are sums over the pixels, of alpha and of alpha times the component.
KERNEL_HD inline uint8_t blend_mean(uint8_t under, uint32_t alphas, uint32_t parts, int shift) {
  const uint32_t whole = 255u << shift;
  const uint32_t sum = (under * (whole - alphas) + parts + (whole >> 1)) >> shift;
  return static_cast<uint8_t>((sum + 1 + (sum >> 8)) >> 8);  // divided by 255
}

}  // namespace KERNEL_ISA

// Bytes of scratch memory for a picture of `width` pixels.
inline size_t draw_segments_workspace(int width) { return (static_cast<size_t>(width) + 64) * 20; }

// Blends in place.
KERNEL_ENTRY(draw_segments, const PictureView& picture, const SegmentTints& tints, void* workspace)

}  // namespace vidgraph
