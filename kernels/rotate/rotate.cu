// CUDA twin of `rotate`: one launch for all planes. A tile passes through shared memory, so that rows are read and rows
// are written.
#include "../native/cuda.h"
#include "rotate.h"

namespace vidgraph {
namespace {

using namespace KERNEL_ISA;

constexpr int kThreads = 256;
constexpr int kTile = 32, kRowsAtOnce = kThreads / kTile;

// A tile of the turned plane, whose corner is (top, left).
struct Part {
  int height, width;  // of the whole turned plane
  int top, left;
};

// Samples are read one by one: pairs of them may lie at odd addresses.
template <typename Sample, int kSamples>
__device__ inline uint32_t load_pixel(const Plane& plane, Source at) {
  const auto* samples = reinterpret_cast<const Sample*>(plane.data + at.y * plane.stride) + kSamples * at.x;
  uint32_t pixel = 0;
  for (int i = 0; i < kSamples; ++i) pixel |= static_cast<uint32_t>(samples[i]) << (i * 8 * sizeof(Sample));
  return pixel;
}

template <typename Sample, int kSamples>
__device__ inline void turn(const Plane& plane, int degrees, const Part& part, uint32_t (*tile)[kTile + 1], void* out) {
  const int column = static_cast<int>(threadIdx.x) % kTile, first = static_cast<int>(threadIdx.x) / kTile;
  for (int row = first; row < kTile; row += kRowsAtOnce) {  // rows of the source
    const int down = degrees == 180 ? row : column, right = degrees == 180 ? column : row;
    const int y = part.top + down, x = part.left + right;
    if (y >= part.height || x >= part.width) continue;
    const Source source = rotated_from(y, x, plane.height, plane.width, degrees);
    tile[right][down] = load_pixel<Sample, kSamples>(plane, source);
  }
  __syncthreads();
  const int x = part.left + column;
  for (int row = first; row < kTile; row += kRowsAtOnce) {
    const int y = part.top + row;
    if (y >= part.height || x >= part.width) continue;
    Sample* to = static_cast<Sample*>(out) + kSamples * (static_cast<size_t>(y) * part.width + x);
    const uint32_t pixel = tile[column][row];
    for (int i = 0; i < kSamples; ++i) to[i] = static_cast<Sample>(pixel >> (i * 8 * sizeof(Sample)));
  }
}

// Twice the chroma of a row of the source, between two of its columns.
template <typename Sample>
__device__ inline int doubled(const Plane& plane, int y, Columns columns) {
  const auto* row = reinterpret_cast<const Sample*>(plane.data + y * plane.stride);
  return static_cast<uint16_t>(row[columns.low] + row[columns.high]);
}

// 4:2:2 chroma turned by a quarter: a row of the source is a column, or two, of the picture.
template <typename Sample>
__device__ inline void resample(const Plane& plane, int degrees, const Part& part, void* out) {
  const int x = part.left + static_cast<int>(threadIdx.x) % kTile, last = plane.height - 1;
  const int middle = 2 * x, before = middle > 0 ? middle - 1 : 0, after = middle < last ? middle + 1 : last;
  if (x >= part.width) return;
  for (int row = static_cast<int>(threadIdx.x) / kTile; row < kTile; row += kRowsAtOnce) {
    const int y = part.top + row;
    if (y >= part.height) return;
    const Columns columns = columns_between(y, degrees, part.height, plane.width - 1);
    const auto at = [&](int of) { return doubled<Sample>(plane, degrees == 90 ? last - of : of, columns); };
    static_cast<Sample*>(out)[static_cast<size_t>(y) * part.width + x] =
        static_cast<Sample>(halved(at(before), at(middle), at(after)));
  }
}

}  // namespace

// The outputs are contiguous; those that the format has no plane for may be null. Blocks along z are planes, those
// along x their tiles, row by row.
CUDA_KERNEL(kThreads)
rotate_planes(PictureView picture, int degrees, uint8_t* first, uint8_t* second, uint8_t* third) {
  __shared__ uint32_t tile[kTile][kTile + 1];  // a pixel each; one more, so that columns lie in different banks, too
  const int index = static_cast<int>(blockIdx.z);
  const Plane plane = plane_of(picture, index);
  uint8_t* out = index == 0 ? first : index == 1 ? second : third;
  const bool quarter = degrees != 180, wide = picture.bits > 8;
  const bool resampled = index > 0 && quarter && picture.shift_x && !picture.shift_y;
  Part part{quarter ? plane.width : plane.height, quarter ? plane.height : plane.width, 0, 0};
  if (resampled) part = {picture.planes[0].width, (plane.height + 1) / 2, 0, 0};
  const int across = (part.width + kTile - 1) / kTile;
  part.top = static_cast<int>(blockIdx.x) / across * kTile;
  part.left = static_cast<int>(blockIdx.x) % across * kTile;
  if (picture.kind == Kind::packed_rgb) return turn<uint8_t, 3>(plane, degrees, part, tile, out);
  const bool paired = picture.kind == Kind::semi_planar && index > 0;
  if (wide) {
    if (resampled) return resample<uint16_t>(plane, degrees, part, out);
    if (paired) return turn<uint16_t, 2>(plane, degrees, part, tile, out);
    return turn<uint16_t, 1>(plane, degrees, part, tile, out);
  }
  if (resampled) return resample<uint8_t>(plane, degrees, part, out);
  return paired ? turn<uint8_t, 2>(plane, degrees, part, tile, out) : turn<uint8_t, 1>(plane, degrees, part, tile, out);
}

}  // namespace vidgraph
