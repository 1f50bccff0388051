// CUDA twin of `assemble_masks`. The probabilities of the prototype pixels in each crop are made once; between them,
// warps go down the frame in words of 64 pixels: first to find the tight boxes and, when it is known where the bits of
// each mask begin, to write them. As on the CPU, a word is mixed only where the two rows of probabilities around it
// disagree.
#include "../native/cuda_scan.h"
#include "../native/lanes.h"
#include "../native/pack_bits.h"
#include "assemble_masks.h"

namespace vidgraph {

// What the frame covers of the prototypes.
struct MaskFrame {
  Window x, y;
  int height, width;
};

// Where one mask can be, all 0 where it cannot. Its words begin at column `first_x` of the frame.
struct MaskPlace {
  Region crop;   // prototype pixels
  Region limit;  // frame pixels
  int first_x;
};

// How many masks there are: what a kernel before has left, or `room`.
struct MaskCount {
  const int* known;  // null: all
  int room;

  __device__ int get() const { return static_cast<int>(counted(known, room)); }
};

namespace {

using namespace KERNEL_ISA;

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarpLanes;
constexpr int kWord = 64;
constexpr int kStrip = 16;  // rows of the frame that a warp goes down
constexpr int kFar = 0x7fffffff;

__device__ inline Resize columns_of(const Prototypes& prototypes, const MaskFrame& frame) {
  return resize_of(frame.x, prototypes.width, frame.width);
}

__device__ inline Resize rows_of(const Prototypes& prototypes, const MaskFrame& frame) {
  return resize_of(frame.y, prototypes.height, frame.height);
}

// The first of `pixels` whose cell is not below this one.
__device__ inline int first_in_cell(const Resize& resize, int cell, int pixels) {
  int low = 0, high = pixels;
  while (low < high) {
    const int middle = low + (high - low) / 2;
    if (resize.at(middle).cell < cell) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

__device__ inline Region without_empty(Region region) { return is_empty(region) ? Region{0, 0, 0, 0} : region; }

// What the crop can reach: cells from the one before it to its last.
__device__ inline Region reach_of(Region crop, const Resize& columns, const Resize& rows, const MaskFrame& frame) {
  const int before_x = crop.x1 > 0 ? crop.x1 - 1 : 0, before_y = crop.y1 > 0 ? crop.y1 - 1 : 0;
  return {first_in_cell(columns, before_x, frame.width), first_in_cell(rows, before_y, frame.height),
          first_in_cell(columns, crop.x2, frame.width), first_in_cell(rows, crop.y2, frame.height)};
}

__device__ inline int64_t map_size(const Prototypes& p) { return static_cast<int64_t>(p.height) * p.width; }

// The product with the coefficients of the pixel at each thread's `offset`, whose channels lie side by side: sixteen
// threads make it for one of theirs after the other.
__device__ inline float product_by_lanes(const float* pixels, int64_t offset, const float* coefficients, int channels) {
  const int lane = threadIdx.x % kLanes;
  float own = 0.f;
#pragma unroll 4
  for (int of = 0; of < kLanes; ++of) {
    const float* pixel = pixels + __shfl_sync(kAllLanes, offset, of, kLanes);
    float sum = 0.f;
    for (int k = lane; k < channels; k += kLanes) sum += pixel[k] * coefficients[k];
    for (int apart = kLanes / 2; apart > 0; apart /= 2) sum += __shfl_xor_sync(kAllLanes, sum, apart);
    if (lane == of) own = sum;
  }
  return own;
}

// The same product, bit by bit, by one thread.
__device__ inline float product(const float* pixel, int64_t stride, const float* coefficients, int channels) {
  float lanes[kLanes] = {};
  for (int start = 0; start < channels; start += kLanes) {
#pragma unroll
    for (int l = 0; l < kLanes; ++l) {
      if (start + l < channels) lanes[l] += pixel[(start + l) * stride] * coefficients[start + l];
    }
  }
  return sum_of_lanes(lanes);
}

// Probabilities of one mask: 0 outside of its crop, the outermost again beyond the prototypes.
struct MaskMap {
  const float* values;  // [height][width], set in the crop
  Region crop;
  int height, width;

  __device__ float at(int x, int y) const {
    const int column = x < width ? x : width - 1, row = y < height ? y : height - 1;
    const bool inside = column >= crop.x1 && column < crop.x2 && row >= crop.y1 && row < crop.y2;
    return inside ? values[static_cast<int64_t>(row) * width + column] : 0.f;
  }
};

// A word of a mask, whose rows a warp asks for one after the other: two pixels a lane.
class MaskWord {
 public:
  __device__ MaskWord(const MaskMap& map, const Resize& columns, int first_x, int frame_width) : map_(map) {
    const int lane = threadIdx.x % kWarpLanes;
    for (int i = 0; i < 2; ++i) {
      const int x = first_x + lane + i * kWarpLanes;
      inside_[i] = x < frame_width;
      mixtures_[i] = columns.at(x);
    }
  }

  // The bits of a row, the leftmost in the lowest bit.
  __device__ uint64_t row(Mixture rows) {
    if (rows.cell != cell_) {
      widen(rows.cell, upper_);
      widen(rows.cell + 1, lower_);
      above_ = above(upper_[0], upper_[1]);
      agreed_ = above_ == above(lower_[0], lower_[1]);
      cell_ = rows.cell;
    }
    if (agreed_) return above_;
    return above(rows.low * upper_[0] + rows.high * lower_[0], rows.low * upper_[1] + rows.high * lower_[1]);
  }

 private:
  __device__ void widen(int y, float* values) const {
    for (int i = 0; i < 2; ++i) {
      const Mixture& at = mixtures_[i];
      values[i] = inside_[i] ? at.low * map_.at(at.cell, y) + at.high * map_.at(at.cell + 1, y) : 0.f;
    }
  }

  __device__ static uint64_t above(float first, float second) {
    const uint64_t low = __ballot_sync(kAllLanes, first > kMaskThreshold);
    return low | static_cast<uint64_t>(__ballot_sync(kAllLanes, second > kMaskThreshold)) << kWarpLanes;
  }

  const MaskMap& map_;
  Mixture mixtures_[2];
  bool inside_[2];
  int cell_ = -1;
  float upper_[2], lower_[2];
  uint64_t above_ = 0;
  bool agreed_ = false;
};

// A region of a mask in pieces that warps share: a word wide, a strip high.
struct Pieces {
  Region region;
  int first_x, words;

  __device__ Pieces(Region region, int words_begin) : region(region) {
    first_x = words_begin + (region.x1 - words_begin) / kWord * kWord;
    words = (region.x2 - first_x + kWord - 1) / kWord;
  }

  __device__ int count() const { return words * ((region.y2 - region.y1 + kStrip - 1) / kStrip); }
  __device__ int x(int piece) const { return first_x + piece % words * kWord; }
  __device__ int y(int piece) const { return region.y1 + piece / words * kStrip; }
  __device__ int end_y(int piece) const { return y(piece) + kStrip < region.y2 ? y(piece) + kStrip : region.y2; }
};

__device__ inline int first_piece() { return static_cast<int>(blockIdx.x * kWarps + threadIdx.x / kWarpLanes); }

__device__ inline int piece_step() { return static_cast<int>(gridDim.x) * kWarps; }

__device__ inline int lowest_bit(uint64_t word) { return __ffsll(static_cast<long long>(word)) - 1; }

__device__ inline int highest_bit(uint64_t word) { return 63 - __clzll(static_cast<long long>(word)); }

}  // namespace

// Finds where each mask can be, and empties the boxes. One thread a mask. `limits`: the pixels of the frame that may be
// set, null for all of them.
CUDA_KERNEL(kThreads)
mask_places(Prototypes prototypes, MaskFrame frame, const float* boxes, const Region* limits, MaskCount known,
            MaskPlace* places, Region* tight) {
  const int64_t i = global_index();
  const int count = known.get();
  if (i >= count) return;
  const Resize columns = columns_of(prototypes, frame), rows = rows_of(prototypes, frame);
  const Region mixed{columns.at(0).cell, rows.at(0).cell, columns.at(frame.width - 1).cell + 2,
                     rows.at(frame.height - 1).cell + 2};
  const Region crop = without_empty(common_region(crop_of(boxes + 4 * i, prototypes, frame.x, frame.y), mixed));
  const Region reach = reach_of(crop, columns, rows, frame);
  places[i] = {crop, without_empty(limits ? common_region(limits[i], reach) : reach), reach.x1};
  tight[i] = {kFar, kFar, 0, 0};
}

// Writes the probabilities of each mask in its crop to `maps` [count][prototypes]. Blocks (any, masks).
CUDA_KERNEL(kThreads)
mask_probabilities(Prototypes prototypes, const float* coefficients, const MaskPlace* places, MaskCount known,
                   float* maps) {
  const int channels = prototypes.channels, count = known.get();
  for (int mask = blockIdx.y; mask < count; mask += gridDim.y) {
    const Region crop = places[mask].crop;
    const float* own = coefficients + static_cast<int64_t>(mask) * channels;
    float* map = maps + mask * map_size(prototypes);
    const int width = crop.x2 - crop.x1, lane = threadIdx.x % kWarpLanes;
    const int64_t area = static_cast<int64_t>(width) * (crop.y2 - crop.y1);
    const int64_t threads = static_cast<int64_t>(gridDim.x) * kThreads;
    for (int64_t first = global_index() - lane; first < area; first += threads) {  // all of a warp or none
      const int at = static_cast<int>(first + lane < area ? first + lane : area - 1);
      const int x = crop.x1 + at % width, y = crop.y1 + at / width;
      const int64_t offset = y * prototypes.row_stride + x * prototypes.pixel_stride;
      const float sum = prototypes.channel_stride == 1
                            ? product_by_lanes(prototypes.data, offset, own, channels)
                            : product(prototypes.data + offset, prototypes.channel_stride, own, channels);
      if (first + lane < area) map[static_cast<int64_t>(y) * prototypes.width + x] = sigmoid(sum);
    }
  }
}

// Finds the box of the pixels that are set. Blocks (any, masks).
CUDA_KERNEL(kThreads, 4)
mask_boxes(Prototypes prototypes, MaskFrame frame, const float* maps, const MaskPlace* places, MaskCount known,
           Region* tight) {
  const Resize columns = columns_of(prototypes, frame), rows = rows_of(prototypes, frame);
  const int count = known.get();
  for (int mask = blockIdx.y; mask < count; mask += gridDim.y) {
    const MaskPlace place = places[mask];
    const MaskMap map{maps + mask * map_size(prototypes), place.crop, prototypes.height, prototypes.width};
    const Pieces pieces(place.limit, place.first_x);
    Region found{kFar, kFar, 0, 0};
    for (int piece = first_piece(); piece < pieces.count(); piece += piece_step()) {
      const int x = pieces.x(piece), end = pieces.end_y(piece);
      const uint64_t kept = bits_between(place.limit.x1 - x, place.limit.x2 - x);
      MaskWord word(map, columns, x, frame.width);
      uint64_t set = 0;
      for (int y = pieces.y(piece); y < end; ++y) {
        const uint64_t bits = word.row(rows.at(y)) & kept;
        if (!bits) continue;
        set |= bits;
        if (found.y1 > y) found.y1 = y;
        if (found.y2 < y + 1) found.y2 = y + 1;
      }
      if (!set) continue;
      if (found.x1 > x + lowest_bit(set)) found.x1 = x + lowest_bit(set);
      if (found.x2 < x + highest_bit(set) + 1) found.x2 = x + highest_bit(set) + 1;
    }
    if (found.x2 == 0 || threadIdx.x % kWarpLanes != 0) continue;
    atomicMin(&tight[mask].x1, found.x1);
    atomicMin(&tight[mask].y1, found.y1);
    atomicMax(&tight[mask].x2, found.x2);
    atomicMax(&tight[mask].y2, found.y2);
  }
}

// Makes the boxes without a pixel all 0, and finds where the bits of each mask begin and the last one's end:
// [count + 1]. One block.
CUDA_KERNEL(kThreads) mask_offsets(Region* tight, MaskCount known, int64_t* offsets) {
  __shared__ int64_t per_warp[kWarps];
  const int count = known.get();
  int64_t end = 0;
  for (int first = 0; first < count; first += kThreads) {
    const int i = first + static_cast<int>(threadIdx.x);
    int64_t bytes = 0, all = 0;
    if (i < count) {
      const Region box = tight[i];
      if (box.x2 == 0) {
        tight[i] = {0, 0, 0, 0};
      } else {
        bytes = static_cast<int64_t>((box.x2 - box.x1 + 7) / 8) * (box.y2 - box.y1);
      }
    }
    const int64_t before = sum_before<kThreads>(bytes, per_warp, &all);
    if (i < count) offsets[i] = end + before;
    end += all;
  }
  if (threadIdx.x == 0) offsets[count] = end;
}

// Writes the bits of the tight boxes, as far as `bits` has `room` for all of a mask: rows padded to a byte, first pixel in
// the highest bit. Blocks (any, masks).
CUDA_KERNEL(kThreads)
mask_bits(Prototypes prototypes, MaskFrame frame, const float* maps, const MaskPlace* places, const Region* tight,
          const int64_t* offsets, MaskCount known, int64_t room, uint8_t* bits) {
  const Resize columns = columns_of(prototypes, frame), rows = rows_of(prototypes, frame);
  const int lane = threadIdx.x % kWarpLanes, count = known.get();
  for (int mask = blockIdx.y; mask < count; mask += gridDim.y) {
    if (offsets[mask + 1] > room) continue;
    const Region box = tight[mask];
    const MaskPlace place = places[mask];
    const MaskMap map{maps + mask * map_size(prototypes), place.crop, prototypes.height, prototypes.width};
    const Pieces pieces(box, box.x1);  // of which each lies in two words of the mask
    const int bytes = (box.x2 - box.x1 + 7) / 8, shift = (box.x1 - place.first_x) % kWord;
    uint8_t* out = bits + offsets[mask];
    for (int piece = first_piece(); piece < pieces.count(); piece += piece_step()) {
      const int x = pieces.x(piece), end = pieces.end_y(piece), at = (x - box.x1) / 8 + lane;
      const uint64_t kept = bits_between(0, box.x2 - x);
      MaskWord left(map, columns, x - shift, frame.width), right(map, columns, x - shift + kWord, frame.width);
      for (int y = pieces.y(piece); y < end; ++y) {
        const Mixture row = rows.at(y);
        const uint64_t first = left.row(row), second = right.row(row);
        const uint64_t word = bytes_mirrored((shift ? first >> shift | second << (kWord - shift) : first) & kept);
        if (lane >= 8 || at >= bytes) continue;
        out[static_cast<int64_t>(y - box.y1) * bytes + at] = static_cast<uint8_t>(word >> 8 * lane);
      }
    }
  }
}

// What each mask is expected to share with the true one, over what they cover together. A warp a mask: sixteen lanes
// sum in the order of the CPU what lies in the mask, the other sixteen what lies beside it. Times `scores`, where that is
// not null.
CUDA_KERNEL(kWarpLanes)
mask_overlaps(Prototypes prototypes, const float* maps, const MaskPlace* places, MaskCount known, const float* scores,
              float* overlaps) {
  const int lane = threadIdx.x % kLanes, count = known.get();
  const bool sums_mask = threadIdx.x < kLanes;
  for (int mask = blockIdx.x; mask < count; mask += gridDim.x) {
    const Region crop = places[mask].crop;
    const float* map = maps + mask * map_size(prototypes);
    float sum = 0.f, pixels = 0.f;
    for (int y = crop.y1; y < crop.y2; ++y) {
      const float* row = map + static_cast<int64_t>(y) * prototypes.width;
      for (int x = crop.x1 + lane; x < crop.x2; x += kLanes) {
        const bool in_mask = row[x] > kMaskThreshold;
        sum += in_mask == sums_mask ? row[x] : 0.f;
        pixels += in_mask ? 1.f : 0.f;
      }
    }
    for (int apart = kLanes / 2; apart > 0; apart /= 2) {
      sum += __shfl_xor_sync(kAllLanes, sum, apart);
      pixels += __shfl_xor_sync(kAllLanes, pixels, apart);
    }
    const float beside = __shfl_xor_sync(kAllLanes, sum, kLanes);
    const float expected = sum / (pixels + beside), overlap = expected > 0.f ? expected : 0.f;
    if (threadIdx.x == 0) overlaps[mask] = scores ? scores[mask] * overlap : overlap;
  }
}

}  // namespace vidgraph
