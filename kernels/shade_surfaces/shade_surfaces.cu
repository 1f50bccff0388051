// CUDA twin of `shade_surfaces`. Without motion blur one launch does it all: a block shades a tile and the pixels around
// it, then softens them. With it, a launch before shades rows and adds them up, so that a mean along a row is the
// difference of two sums, however far it reaches.
#include "../native/cuda.h"
#include "shade_surfaces.h"

namespace vidgraph {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarpLanes;
constexpr int kTileWidth = 32, kTileHeight = 8;
constexpr int kAroundWidth = kTileWidth + 2, kAroundHeight = kTileHeight + 2;

// The maps, and how surfaces look.
struct Scene {
  const uint16_t* map;
  const uint8_t* shadow;
  int height, width, count;  // of surfaces
  Surfaces surfaces;
};

struct Rgb {
  uint32_t red, green, blue;
};

__device__ inline int64_t pixel_at(const Scene& scene, int x, int y) {
  return static_cast<int64_t>(y) * scene.width + x;
}

// What texture and shadow make of a surface's colour: a factor.
__device__ inline float light_on(const Surfaces& all, int s, int x, int y, uint8_t shadow) {
  using namespace KERNEL_ISA;
  float light = 1.f;
  if (all.amplitude[s] != 0.f) {
    const float* m = all.inverse + 9 * s;
    const float px = static_cast<float>(x) + 0.5f, py = static_cast<float>(y) + 0.5f, fade = all.fade[s];
    float u = m[0] * px + (m[1] * py + m[2]), v = m[3] * px + (m[4] * py + m[5]);
    float strength = all.amplitude[s] * (1.f / 128.f);
    if (fade > 0.f) {
      const float w = m[6] * px + (m[7] * py + m[8]), once = 1.f / w, size = w < 0.f ? -w : w;
      u *= once;
      v *= once;
      strength *= clamp_to(size * sqrtf(size) * fade, 0.f, 1.f);
    }
    const uint8_t* texture = all.textures + static_cast<size_t>(all.texture[s]) * kTextureSide * kTextureSide;
    light = 1.f + strength * static_cast<float>(texture[texel(v) * kTextureSide + texel(u)] - 128);
  }
  return all.shaded[s] != 0 ? light * (static_cast<float>(shadow) * (1.f / 255.f)) : light;
}

// Black where there is no such surface.
__device__ inline Rgb shaded_at(const Scene& scene, int x, int y) {
  const int64_t at = pixel_at(scene, x, y);
  const int s = scene.map[at];
  if (s >= scene.count) return {0, 0, 0};
  const float light = light_on(scene.surfaces, s, x, y, scene.shadow[at]);
  const float* colour = scene.surfaces.colours + 3 * s;
  const auto lit = [=](float value) {
    return static_cast<uint32_t>(KERNEL_ISA::clamp_to(value * light, 0.f, 255.f) + 0.5f);
  };
  return {lit(colour[0]), lit(colour[1]), lit(colour[2])};
}

// Where the sums of a row begin: width + 1 of each colour.
__device__ inline int64_t sums_at(const Scene& scene, int y, int colour) {
  return (static_cast<int64_t>(colour) * scene.height + y) * (scene.width + 1);
}

// The mean of a pixel and those beside it in the row, as far as its surface's blur reaches.
__device__ inline Rgb blurred_at(const Scene& scene, const uint32_t* sums, int x, int y) {
  const int s = scene.map[pixel_at(scene, x, y)], radius = s < scene.count ? scene.surfaces.blur[s] : 0;
  const int low = x - radius < 0 ? 0 : x - radius;
  const int end = x + radius < scene.width ? x + radius + 1 : scene.width;
  const uint32_t count = static_cast<uint32_t>(end - low);
  const auto mean = [&](int colour) {
    const uint32_t* row = sums + sums_at(scene, y, colour);
    return (row[end] - row[low] + count / 2) / count;
  };
  return {mean(0), mean(1), mean(2)};
}

__device__ inline int within(int value, int length) { return value < 0 ? 0 : value < length ? value : length - 1; }

__device__ inline uint8_t with_grain(uint32_t softened, uint32_t bits, int noise) {
  const int value = static_cast<int>(softened >> 4) + (static_cast<int>(bits & 255u) - 128) * noise / 128;
  return static_cast<uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
}

}  // namespace

// `sums` [3][height][width + 1]: for each row and colour, what the pixels before each one add up to. A block a row.
CUDA_KERNEL(kThreads) shade_sums(Scene scene, uint32_t* sums) {
  __shared__ uint64_t per_warp[2][kWarps];  // in turn: who is ahead writes where nobody reads any more
  constexpr int kBits = 21;  // of a sum over a block; those of three colours in one number
  constexpr uint64_t kOnes = (1u << kBits) - 1;
  const int thread = static_cast<int>(threadIdx.x), warp = thread / kWarpLanes, lane = thread % kWarpLanes;
  const int y = static_cast<int>(blockIdx.x);
  uint32_t* const rows[] = {sums + sums_at(scene, y, 0), sums + sums_at(scene, y, 1), sums + sums_at(scene, y, 2)};
  uint32_t before[3] = {0, 0, 0};
  if (thread < 3) sums[sums_at(scene, y, thread)] = 0;
  for (int first = 0; first < scene.width; first += kThreads) {
    const int x = first + thread;
    const Rgb colour = x < scene.width ? shaded_at(scene, x, y) : Rgb{0, 0, 0};
    uint64_t sum = colour.red | static_cast<uint64_t>(colour.green) << kBits |
                   static_cast<uint64_t>(colour.blue) << 2 * kBits;
    for (int step = 1; step < kWarpLanes; step *= 2) {
      const uint64_t other = __shfl_up_sync(kAllLanes, sum, step);
      if (lane >= step) sum += other;
    }
    uint64_t* totals = per_warp[first / kThreads % 2];
    if (lane == kWarpLanes - 1) totals[warp] = sum;
    __syncthreads();
    uint64_t all = 0;
    for (int w = 0; w < kWarps; ++w) {
      if (w == warp) sum += all;
      all += totals[w];
    }
    for (int c = 0; c < 3; ++c) {
      if (x < scene.width) rows[c][x + 1] = before[c] + static_cast<uint32_t>(sum >> c * kBits & kOnes);
      before[c] += static_cast<uint32_t>(all >> c * kBits & kOnes);
    }
  }
}

// `sums` as above, or null where nothing is blurred; `out` [height][width][3]; `beyond`: in 0, out the largest number in
// the map that no surface has, and 1. A block a tile.
CUDA_KERNEL(kThreads)
shade_surfaces(Scene scene, const uint32_t* sums, int noise, uint32_t seed, uint8_t* out, int* beyond) {
  __shared__ uint32_t red_blue[kAroundHeight][kAroundWidth], green[kAroundHeight][kAroundWidth];
  const int thread = static_cast<int>(threadIdx.x), block = static_cast<int>(blockIdx.x);
  const int across = (scene.width + kTileWidth - 1) / kTileWidth;
  const int left = block % across * kTileWidth, top = block / across * kTileHeight;
  for (int i = thread; i < kAroundWidth * kAroundHeight; i += kThreads) {
    const int column = i % kAroundWidth, row = i / kAroundWidth;
    const int x = within(left + column - 1, scene.width), y = within(top + row - 1, scene.height);
    const Rgb colour = sums ? blurred_at(scene, sums, x, y) : shaded_at(scene, x, y);
    red_blue[row][column] = colour.red | colour.blue << 16;
    green[row][column] = colour.green;
  }
  __syncthreads();
  const int column = thread % kTileWidth, row = thread / kTileWidth, x = left + column, y = top + row;
  if (x >= scene.width || y >= scene.height) return;
  uint32_t soft_red_blue = 8u | 8u << 16, soft_green = 8u;
  for (int dy = 0; dy < 3; ++dy) {
    for (int dx = 0; dx < 3; ++dx) {
      const uint32_t weight = (1u + (dy == 1)) * (1u + (dx == 1));
      soft_red_blue += weight * red_blue[row + dy][column + dx];
      soft_green += weight * green[row + dy][column + dx];
    }
  }
  const int64_t at = pixel_at(scene, x, y);
  const uint32_t bits = KERNEL_ISA::mixed_bits(static_cast<uint32_t>(at), seed);
  out[3 * at] = with_grain(soft_red_blue & 0xffffu, bits, noise);
  out[3 * at + 1] = with_grain(soft_green, bits >> 8, noise);
  out[3 * at + 2] = with_grain(soft_red_blue >> 16, bits >> 16, noise);
  if (scene.map[at] >= scene.count) atomicMax(beyond, scene.map[at] + 1);
}

}  // namespace vidgraph
