// CUDA twin of the drawing of segments: the tints of all colours, then a thread a chroma sample with its pixels.
#include "../draw/cuda_samples.h"
#include "draw_segments.h"

namespace vidgraph {

// Tints by id. One thread an id.
CUDA_KERNEL(kDrawThreads)
segment_tints(Kind kind, Colours colours, const uint8_t* colors, int count, uint8_t alpha, Tint* tints) {
  using namespace KERNEL_ISA;
  const int64_t id = global_index();
  if (id >= count) return;
  tints[id] = tint_of(paint_of(kind, colours, colors + 3 * id), alpha);
}

// `ids` [height][width]; `tints` [count].
CUDA_KERNEL(kDrawThreads)
draw_segments(PictureView picture, const int* ids, const Tint* tints, int count) {
  using namespace KERNEL_ISA;
  Place place;
  if (!place_of_thread(picture, tile_of_block(picture), &place)) return;
  Tint of_pixel[kMostPixels] = {};
  uint32_t alphas = 0, seconds = 0, thirds = 0;
#pragma unroll
  for (int i = 0; i < kMostPixels; ++i) {
    if (!has_pixel(picture, i)) continue;
    const int id = ids[static_cast<int64_t>(place.y[i / 2]) * picture.planes[0].width + place.x[i % 2]];
    const Tint tint = id > 0 && id < count ? tints[id] : 0;
    const uint32_t alpha = tint_part(tint, 3);
    of_pixel[i] = tint;
    alphas += alpha;
    seconds += alpha * tint_part(tint, 1);
    thirds += alpha * tint_part(tint, 2);
  }
  if (alphas == 0) return;
  Samples samples = read_samples(picture, place);
#pragma unroll
  for (int i = 0; i < kMostPixels; ++i) {
    const Tint tint = of_pixel[i];
    samples.first[i] = blend(samples.first[i], static_cast<uint8_t>(tint), static_cast<uint8_t>(tint >> 24));
  }
  const int shift = picture.shift_x + picture.shift_y;
  samples.second = blend_mean(samples.second, alphas, seconds, shift);
  samples.third = blend_mean(samples.third, alphas, thirds, shift);
  write_samples(picture, place, samples);
}

}  // namespace vidgraph
