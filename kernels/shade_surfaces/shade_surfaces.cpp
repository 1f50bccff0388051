// CPU twin: row by row, so that a row is shaded, blurred, softened and given its noise while it is in the cache.
#include "shade_surfaces.h"

namespace vidgraph::KERNEL_ISA {
namespace {

// Shades the pixels [x, end) of row `y`, all of surface `s`.
void shade_run(const Surfaces& all, int s, int y, int x, int end, const uint8_t* shadow, uint8_t* row) {
  const float* m = all.inverse + 9 * s;
  const float* colour = all.colours + 3 * s;
  const uint8_t* texture = all.textures + static_cast<size_t>(all.texture[s]) * kTextureSide * kTextureSide;
  const float py = static_cast<float>(y) + 0.5f;
  const float u0 = m[1] * py + m[2], v0 = m[4] * py + m[5], w0 = m[7] * py + m[8];
  const float amplitude = all.amplitude[s] * (1.f / 128.f), fade = all.fade[s];
  const bool shaded = all.shaded[s] != 0;
  for (; x < end; ++x) {
    const float px = static_cast<float>(x) + 0.5f;
    float u = m[0] * px + u0, v = m[3] * px + v0, strength = amplitude;
    if (fade > 0.f) {
      const float w = m[6] * px + w0, once = 1.f / w, size = w < 0.f ? -w : w;
      u *= once;
      v *= once;
      strength *= clamp_to(size * __builtin_sqrtf(size) * fade, 0.f, 1.f);
    }
    const int value = texture[texel(v) * kTextureSide + texel(u)];
    float light = 1.f + strength * static_cast<float>(value - 128);
    if (shaded) light *= static_cast<float>(shadow[x]) * (1.f / 255.f);
    for (int c = 0; c < 3; ++c) row[3 * x + c] = static_cast<uint8_t>(clamp_to(colour[c] * light, 0.f, 255.f) + 0.5f);
  }
}

// Each pixel becomes the mean of those around it in the row, as far as its surface's blur reaches.
void blur_row(const Surfaces& all, const uint16_t* map, int width, uint32_t* sums, uint8_t* row) {
  for (int c = 0; c < 3; ++c) sums[c] = 0;
  for (int i = 0; i < 3 * width; ++i) sums[i + 3] = sums[i] + row[i];
  for (int x = 0; x < width; ++x) {
    const int radius = all.blur[map[x]];
    if (radius == 0) continue;
    const int low = x - radius < 0 ? 0 : x - radius, high = x + radius >= width ? width - 1 : x + radius;
    const uint32_t count = static_cast<uint32_t>(high - low + 1);
    for (int c = 0; c < 3; ++c) {
      const uint32_t sum = sums[3 * (high + 1) + c] - sums[3 * low + c];
      row[3 * x + c] = static_cast<uint8_t>((sum + count / 2) / count);
    }
  }
}

// A row as it is shaded and blurred, then with weights 1, 2, 1 along it; `row` has a pixel to spare at both ends.
void make_row(const Surfaces& all, const uint16_t* map, const uint8_t* shadow, int y, int width, uint8_t* row,
              uint32_t* sums, uint16_t* soft) {
  bool blurred = false;
  for (int x = 0; x < width;) {
    const int s = map[x];
    int end = x + 1;
    while (end < width && map[end] == s) ++end;
    shade_run(all, s, y, x, end, shadow, row);
    blurred |= all.blur[s] != 0;
    x = end;
  }
  if (blurred) blur_row(all, map, width, sums, row);
  for (int c = 0; c < 3; ++c) {
    row[c - 3] = row[c];
    row[3 * width + c] = row[3 * (width - 1) + c];
  }
  for (int i = 0; i < 3 * width; ++i) soft[i] = static_cast<uint16_t>(row[i - 3] + 2 * row[i] + row[i + 3]);
}

// Weights 1, 2, 1 down three rows, and noise.
void finish_row(const uint16_t* above, const uint16_t* here, const uint16_t* below, int y, int width, int noise,
                uint32_t seed, uint8_t* out) {
  for (int x = 0; x < width; ++x) {
    const uint32_t bits = mixed_bits(static_cast<uint32_t>(y * width + x), seed);
    for (int c = 0; c < 3; ++c) {
      const int i = 3 * x + c;
      const int grain = (static_cast<int>((bits >> (8 * c)) & 255u) - 128) * noise / 128;
      const int value = ((above[i] + 2 * here[i] + below[i] + 8) >> 4) + grain;
      out[i] = static_cast<uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
    }
  }
}

}  // namespace

void shade_surfaces(const uint16_t* map, const uint8_t* shadow, int height, int width, const Surfaces& surfaces,
                    int noise, uint32_t seed, void* workspace, uint8_t* out) {
  const size_t samples = static_cast<size_t>(width + 2) * 3;
  auto* sums = static_cast<uint32_t*>(workspace);
  auto* ring = reinterpret_cast<uint16_t*>(sums + samples);
  auto* row = reinterpret_cast<uint8_t*>(ring + 3 * samples) + 3;
  const auto soft = [&](int y) { return ring + static_cast<size_t>(y % 3) * samples; };
  const auto make = [&](int y) {
    const size_t at = static_cast<size_t>(y) * width;
    make_row(surfaces, map + at, shadow + at, y, width, row, sums, soft(y));
  };
  if (height > 0) make(0);
  for (int y = 0; y < height; ++y) {
    if (y + 1 < height) make(y + 1);
    finish_row(soft(y > 0 ? y - 1 : 0), soft(y), soft(y + 1 < height ? y + 1 : y), y, width, noise, seed,
               out + static_cast<size_t>(y) * width * 3);
  }
}

}  // namespace vidgraph::KERNEL_ISA
