// CUDA twins of the drawing kernels, one launch each. A block has a tile of the picture and a thread a chroma sample with
// its pixels. A block finds the items that reach its tile, up to 256 at a time; then each thread reads its samples, changes
// them by one item after the other, and writes them.
#include "cuda_samples.h"

namespace vidgraph {
namespace {

constexpr int kThreads = kDrawThreads;
constexpr int kWarps = kThreads / kWarpLanes;
constexpr int kFarthest = 1 << 24;  // pixels, as FARTHEST_PX in scalars.py

__device__ inline bool reaches(PixelRect a, PixelRect b) {
  return a.x1 < b.x2 && b.x1 < a.x2 && a.y1 < b.y2 && b.y1 < a.y2;
}

__device__ inline bool holds(PixelRect rect, int x, int y) {
  return x >= rect.x1 && x < rect.x2 && y >= rect.y1 && y < rect.y2;
}

__device__ inline bool is_near(int pixels) { return pixels >= -kFarthest && pixels <= kFarthest; }

// What a thread draws on.
struct Brush {
  const PictureView& picture;
  Place at;
  Samples samples;
  bool changed;

  // Blends a colour by alpha_at(x, y) of each pixel, chroma by their mean.
  template <class AlphaAt>
  __device__ void blend_by(Paint paint, AlphaAt alpha_at) {
    using namespace KERNEL_ISA;
    const int shift = picture.shift_x + picture.shift_y;
    unsigned sum = 0;
#pragma unroll
    for (int i = 0; i < kMostPixels; ++i) {
      if (!has_pixel(picture, i)) continue;
      const uint8_t alpha = alpha_at(at.x[i % 2], at.y[i / 2]);
      samples.first[i] = blend(samples.first[i], paint.value[0], alpha);
      sum += alpha;
    }
    if (sum == 0) return;
    const auto mean = static_cast<uint8_t>((sum + ((1u << shift) >> 1)) >> shift);
    samples.second = blend(samples.second, paint.value[1], mean);
    samples.third = blend(samples.third, paint.value[2], mean);
    changed = true;
  }
};

struct Boxes {
  const float* boxes;  // [count][4]
  const uint8_t* colors;
  int thickness;

  struct Item {
    Outline outline;
    Paint paint;
  };

  // What is drawn of item i; false if it does not reach the tile.
  __device__ bool find(const PictureView& picture, Colours colours, PixelRect tile, size_t i, Item* item) const {
    using namespace KERNEL_ISA;
    const Plane& plane = picture.planes[0];
    if (!outline_of(boxes + 4 * i, plane.width, plane.height, thickness, &item->outline)) return false;
    const PixelRect inner = item->outline.inner;
    const bool within = tile.x1 >= inner.x1 && tile.x2 <= inner.x2 && tile.y1 >= inner.y1 && tile.y2 <= inner.y2;
    if (within || !reaches(item->outline.outer, tile)) return false;
    item->paint = paint_of(picture.kind, colours, colors + 3 * i);
    return true;
  }

  __device__ void draw(const Item& item, Brush* brush) const {
    using namespace KERNEL_ISA;
    for (int bar = 0; bar < kBars; ++bar) {
      const PixelRect rect = bar_of(item.outline, bar);
      brush->blend_by(item.paint, [=](int x, int y) { return static_cast<uint8_t>(holds(rect, x, y) ? 255 : 0); });
    }
  }
};

// One with a coordinate that is not finite reaches no tile, or covers nothing.
struct Points {
  const float* points;  // [count][2]
  const uint8_t* colors;
  float radius;

  struct Item {
    PixelRect rect;
    Disc disc;
    Paint paint;
  };

  __device__ bool find(const PictureView& picture, Colours colours, PixelRect tile, size_t i, Item* item) const {
    using namespace KERNEL_ISA;
    const Disc disc{points[2 * i], points[2 * i + 1], radius};
    const int width = picture.planes[0].width, height = picture.planes[0].height;
    const float reach = radius + 1.f;
    item->rect = {nearest_pixel(disc.x - reach, -1, width), nearest_pixel(disc.y - reach, -1, height),
                  nearest_pixel(disc.x + reach, -1, width), nearest_pixel(disc.y + reach, -1, height)};
    if (!reaches(item->rect, tile)) return false;
    item->disc = disc;
    item->paint = paint_of(picture.kind, colours, colors + 3 * i);
    return true;
  }

  __device__ void draw(const Item& item, Brush* brush) const {
    using namespace KERNEL_ISA;
    brush->blend_by(item.paint, [&](int x, int y) {
      return holds(item.rect, x, y) ? disc_coverage(item.disc, x, y) : static_cast<uint8_t>(0);
    });
  }
};

// The text of a label, [height][width].
struct Glyphs {
  const uint8_t* mask;
  int height, width;
};

struct Labels {
  const Glyphs* glyphs;
  const int* origins;  // [count][2]
  const uint8_t* colors;
  const uint8_t* text_colors;
  uint8_t alpha;

  struct Item {
    PixelRect rect;
    const uint8_t* mask;
    Paint paint, text;
  };

  __device__ bool find(const PictureView& picture, Colours colours, PixelRect tile, size_t i, Item* item) const {
    using namespace KERNEL_ISA;
    const int x = origins[2 * i], y = origins[2 * i + 1];
    if (!is_near(x) || !is_near(y)) return false;
    item->rect = {x, y, x + glyphs[i].width, y + glyphs[i].height};
    if (!reaches(item->rect, tile)) return false;
    item->mask = glyphs[i].mask;
    item->paint = paint_of(picture.kind, colours, colors + 3 * i);
    item->text = paint_of(picture.kind, colours, text_colors + 3 * i);
    return true;
  }

  __device__ void draw(const Item& item, Brush* brush) const {
    const PixelRect rect = item.rect;
    const uint8_t opacity = alpha;
    brush->blend_by(item.paint, [=](int x, int y) { return holds(rect, x, y) ? opacity : static_cast<uint8_t>(0); });
    brush->blend_by(item.text, [&](int x, int y) {
      if (!holds(rect, x, y)) return static_cast<uint8_t>(0);
      return item.mask[static_cast<int64_t>(y - rect.y1) * (rect.x2 - rect.x1) + (x - rect.x1)];
    });
  }
};

struct Masks {
  const int* boxes;  // [count][4]
  const uint8_t* bits;  // [length]
  const int64_t* offsets;  // [count + 1]
  const uint8_t* colors;
  int64_t length;
  uint8_t alpha;

  struct Item {
    PixelRect rect;
    int64_t first;  // byte
    Paint paint;
  };

  // Nobody has looked at boxes and offsets that were made on the card: what leads out of `bits` is not
  // drawn. One that is inside out holds no pixel.
  __device__ bool find(const PictureView& picture, Colours colours, PixelRect tile, size_t i, Item* item) const {
    using namespace KERNEL_ISA;
    const PixelRect rect{boxes[4 * i], boxes[4 * i + 1], boxes[4 * i + 2], boxes[4 * i + 3]};
    if (!is_near(rect.x1) || !is_near(rect.y1) || !is_near(rect.x2) || !is_near(rect.y2)) return false;
    if (!reaches(rect, tile)) return false;
    const int64_t bytes = static_cast<int64_t>(rect.y2 - rect.y1) * row_bytes(rect);
    if (offsets[i] < 0 || offsets[i] > length - bytes) return false;
    *item = {rect, offsets[i], paint_of(picture.kind, colours, colors + 3 * i)};
    return true;
  }

  __device__ void draw(const Item& item, Brush* brush) const {
    const PixelRect rect = item.rect;
    const uint8_t tint = alpha;
    brush->blend_by(item.paint, [&](int x, int y) {
      if (!holds(rect, x, y)) return static_cast<uint8_t>(0);
      const int column = x - rect.x1;
      const uint8_t byte = bits[item.first + static_cast<int64_t>(y - rect.y1) * row_bytes(rect) + column / 8];
      return byte & (0x80 >> column % 8) ? tint : static_cast<uint8_t>(0);
    });
  }

  __device__ static int row_bytes(PixelRect rect) { return (rect.x2 - rect.x1 + 7) / 8; }
};

// Draws those of up to kThreads items that have a bit in `reaching`.
template <class Items>
__device__ void draw_found(const PictureView& picture, Place at, const Items& items, const typename Items::Item* found,
                           const unsigned* reaching) {
  Brush brush{picture, at, {}, false};
  bool held = false;
  for (int w = 0; w < kWarps; ++w) {
    for (unsigned left = reaching[w]; left; left &= left - 1) {
      if (!held) brush.samples = read_samples(picture, at);
      held = true;
      items.draw(found[w * kWarpLanes + __ffs(static_cast<int>(left)) - 1], &brush);
    }
  }
  if (brush.changed) write_samples(picture, at, brush.samples);
}

// Draws `count` items on the tile of this block. `found` has room for an item a thread, `reaching` for a bit.
template <class Items>
__device__ void draw_items(const PictureView& picture, Colours colours, const Items& items, unsigned count,
                           typename Items::Item* found, unsigned* reaching) {
  const int thread = static_cast<int>(threadIdx.x), warp = thread / kWarpLanes, lane = thread % kWarpLanes;
  const Tile tile = tile_of_block(picture);
  const PixelRect pixels{tile.column << picture.shift_x, tile.row << picture.shift_y,
                         (tile.column + kTileColumns) << picture.shift_x, (tile.row + kTileRows) << picture.shift_y};
  for (unsigned first = 0; first < count; first += kThreads) {
    const unsigned mine = first + threadIdx.x;
    const bool here = mine < count && items.find(picture, colours, pixels, mine, &found[thread]);
    const unsigned votes = __ballot_sync(kAllLanes, here);
    if (lane == 0) reaching[warp] = votes;
    __syncthreads();
    Place place;
    if (place_of_thread(picture, tile, &place)) draw_found(picture, place, items, found, reaching);
    __syncthreads();
  }
}

}  // namespace

CUDA_KERNEL(kThreads)
draw_boxes(PictureView picture, Colours colours, unsigned count, const float* boxes, const uint8_t* colors,
           int thickness) {
  __shared__ Boxes::Item found[kThreads];
  __shared__ unsigned reaching[kWarps];
  draw_items(picture, colours, Boxes{boxes, colors, thickness}, count, found, reaching);
}

CUDA_KERNEL(kThreads)
draw_points(PictureView picture, Colours colours, unsigned count, const float* points, const uint8_t* colors,
            float radius) {
  __shared__ Points::Item found[kThreads];
  __shared__ unsigned reaching[kWarps];
  draw_items(picture, colours, Points{points, colors, radius}, count, found, reaching);
}

CUDA_KERNEL(kThreads)
draw_labels(PictureView picture, Colours colours, unsigned count, const Glyphs* glyphs, const int* origins,
            const uint8_t* colors, const uint8_t* text_colors, uint8_t alpha) {
  __shared__ Labels::Item found[kThreads];
  __shared__ unsigned reaching[kWarps];
  draw_items(picture, colours, Labels{glyphs, origins, colors, text_colors, alpha}, count, found, reaching);
}

// `bits` has `length` bytes.
CUDA_KERNEL(kThreads)
draw_masks(PictureView picture, Colours colours, unsigned count, const int* boxes, const uint8_t* bits,
           const int64_t* offsets, const uint8_t* colors, int64_t length, uint8_t alpha) {
  __shared__ Masks::Item found[kThreads];
  __shared__ unsigned reaching[kWarps];
  draw_items(picture, colours, Masks{boxes, bits, offsets, colors, length, alpha}, count, found, reaching);
}

}  // namespace vidgraph
