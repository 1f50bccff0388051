// CPU twin: row by row, so that a row is shaded, blurred, softened and given its noise while it is in the cache; colours
// apart from each other until the end, so that loops are vectorised.
#include "shade_surfaces.h"

namespace vidgraph::KERNEL_ISA {
namespace {

// Scratch memory of one picture; rows of 16-bit samples have one to spare at both ends.
struct Rows {
  int width;
  float* light;      // [width]
  int32_t* place;    // [width], texel
  uint32_t* bits;    // [width], noise
  uint32_t* sums;    // [width + 1]
  uint16_t* shaded;  // [3][width + 2]
  uint16_t* soft;    // [3 rows][3][width]
  uint8_t* colours;  // [3][width]
};

Rows rows_in(void* workspace, int width) {
  Rows rows{};
  rows.width = width;
  rows.light = static_cast<float*>(workspace);
  rows.place = reinterpret_cast<int32_t*>(rows.light + width);
  rows.bits = reinterpret_cast<uint32_t*>(rows.place + width);
  rows.sums = rows.bits + width;
  rows.shaded = reinterpret_cast<uint16_t*>(rows.sums + width + 1);
  rows.soft = rows.shaded + 3 * (width + 2);
  rows.colours = reinterpret_cast<uint8_t*>(rows.soft + 9 * width);
  return rows;
}

// Texels and how much they count for the pixels [x, end) of row `y`. Not inlined: its caller has enough in registers.
__attribute__((noinline)) void place_texels(const Surfaces& all, int s, int y, int x, int end, const Rows& rows) {
  const float* m = all.inverse + 9 * s;
  const float py = static_cast<float>(y) + 0.5f;
  const float u0 = m[1] * py + m[2], v0 = m[4] * py + m[5], w0 = m[7] * py + m[8];
  const float um = m[0], vm = m[3], wm = m[6];
  const float strength = all.amplitude[s] * (1.f / 128.f), fade = all.fade[s];
  int32_t* __restrict place = rows.place;
  float* __restrict light = rows.light;
  if (!(fade > 0.f)) {
    for (int i = x; i < end; ++i) {
      const float px = static_cast<float>(i) + 0.5f;
      place[i] = texel(vm * px + v0) * kTextureSide + texel(um * px + u0);
      light[i] = strength;
    }
    return;
  }
  for (int i = x; i < end; ++i) {
    const float px = static_cast<float>(i) + 0.5f;
    const float w = wm * px + w0, once = 1.f / w, size = w < 0.f ? -w : w;
    place[i] = texel((vm * px + v0) * once) * kTextureSide + texel((um * px + u0) * once);
    light[i] = strength * clamp_to(size * __builtin_sqrtf(size) * fade, 0.f, 1.f);
  }
}

// Shades the pixels [x, end) of row `y`, all of surface `s`.
void shade_run(const Surfaces& all, int s, int y, int x, int end, const uint8_t* shadow, const Rows& rows) {
  float* __restrict light = rows.light;
  if (all.amplitude[s] != 0.f) {
    place_texels(all, s, y, x, end, rows);
    const uint8_t* texture = all.textures + static_cast<size_t>(all.texture[s]) * kTextureSide * kTextureSide;
    for (int i = x; i < end; ++i) light[i] = 1.f + light[i] * static_cast<float>(texture[rows.place[i]] - 128);
  } else {
    for (int i = x; i < end; ++i) light[i] = 1.f;
  }
  if (all.shaded[s] != 0) {
    for (int i = x; i < end; ++i) light[i] *= static_cast<float>(shadow[i]) * (1.f / 255.f);
  }
  for (int c = 0; c < 3; ++c) {
    const float colour = all.colours[3 * s + c];
    uint16_t* __restrict row = rows.shaded + c * (rows.width + 2) + 1;
    for (int i = x; i < end; ++i) {
      row[i] = static_cast<uint16_t>(static_cast<int>(clamp_to(colour * light[i], 0.f, 255.f) + 0.5f));
    }
  }
}

// Means of the pixels [x, end) with those around them as far as `radius`; all of these lie within the row.
void blur_inside(const uint32_t* sums, int x, int end, int radius, uint16_t* __restrict row) {
  const uint32_t count = static_cast<uint32_t>(2 * radius + 1);
  const uint32_t* low = sums - radius;
  const uint32_t* high = sums + radius + 1;
  if (count > 1024) {
    for (int i = x; i < end; ++i) row[i] = static_cast<uint16_t>((high[i] - low[i] + count / 2) / count);
    return;
  }
  // The quotient lies at least 1 / (2 * count) from the next whole number, far more than a float's error.
  const float once = 1.f / static_cast<float>(count), half = static_cast<float>(count / 2) + 0.5f;
  for (int i = x; i < end; ++i) {
    const float sum = static_cast<float>(static_cast<int>(high[i] - low[i]));
    row[i] = static_cast<uint16_t>(static_cast<int>((sum + half) * once));
  }
}

// The same where it may reach over the row's ends; what lies beyond them does not count.
void blur_at_end(const uint32_t* sums, int x, int end, int radius, int width, uint16_t* row) {
  for (int i = x; i < end; ++i) {
    const int low = i - radius < 0 ? 0 : i - radius, high = i + radius >= width ? width - 1 : i + radius;
    const uint32_t count = static_cast<uint32_t>(high - low + 1);
    row[i] = static_cast<uint16_t>((sums[high + 1] - sums[low] + count / 2) / count);
  }
}

int within(int value, int low, int high) { return value < low ? low : value > high ? high : value; }

// Each pixel becomes the mean of those around it in the row, as far as its surface's blur reaches.
void blur_row(const Surfaces& all, const uint16_t* map, const Rows& rows) {
  const int width = rows.width;
  for (int c = 0; c < 3; ++c) {
    uint16_t* row = rows.shaded + c * (width + 2) + 1;
    uint32_t sum = 0, *sums = rows.sums;
    *sums = 0;
    for (int x = 0; x < width; ++x) {
      sum += row[x];
      sums[x + 1] = sum;
    }
    for (int x = 0; x < width;) {
      const int radius = all.blur[map[x]];
      int end = x + 1;
      while (end < width && all.blur[map[end]] == radius) ++end;
      if (radius > 0) {
        const int first = within(radius, x, end), last = within(width - radius, first, end);
        blur_at_end(sums, x, first, radius, width, row);
        blur_inside(sums, first, last, radius, row);
        blur_at_end(sums, last, end, radius, width, row);
      }
      x = end;
    }
  }
}

// A row as it is shaded and blurred, then with weights 1, 2, 1 along it.
void make_row(const Surfaces& all, const uint16_t* map, const uint8_t* shadow, int y, const Rows& rows) {
  const int width = rows.width;
  bool blurred = false;
  for (int x = 0; x < width;) {
    const int s = map[x];
    int end = x + 1;
    while (end < width && map[end] == s) ++end;
    shade_run(all, s, y, x, end, shadow, rows);
    blurred |= all.blur[s] != 0;
    x = end;
  }
  if (blurred) blur_row(all, map, rows);
  for (int c = 0; c < 3; ++c) {
    uint16_t* row = rows.shaded + c * (width + 2) + 1;
    row[-1] = row[0];
    row[width] = row[width - 1];
    uint16_t* __restrict soft = rows.soft + (3 * (y % 3) + c) * width;
    for (int i = 0; i < width; ++i) soft[i] = static_cast<uint16_t>(row[i - 1] + 2 * row[i] + row[i + 1]);
  }
}

// Weights 1, 2, 1 down three rows, and noise. All of it fits 16 bits, so that a vector holds twice as many.
void finish_row(int above, int y, int below, int noise, uint32_t seed, const Rows& rows, uint8_t* __restrict out) {
  const int width = rows.width;
  const uint32_t start = static_cast<uint32_t>(y) * static_cast<uint32_t>(width);
  uint32_t* __restrict bits = rows.bits;
  if (noise != 0) {
    for (int x = 0; x < width; ++x) bits[x] = mixed_bits(start + static_cast<uint32_t>(x), seed);
  }
  for (int c = 0; c < 3; ++c) {
    const uint16_t* high = rows.soft + (3 * (above % 3) + c) * width;
    const uint16_t* here = rows.soft + (3 * (y % 3) + c) * width;
    const uint16_t* low = rows.soft + (3 * (below % 3) + c) * width;
    uint8_t* __restrict colour = rows.colours + c * width;
    if (noise == 0) {
      for (int x = 0; x < width; ++x) colour[x] = static_cast<uint8_t>((high[x] + 2 * here[x] + low[x] + 8) >> 4);
      continue;
    }
    const int16_t most = static_cast<int16_t>(noise);
    const int shift = 8 * c;
    for (int x = 0; x < width; ++x) {
      const int16_t bit = static_cast<int16_t>(static_cast<int16_t>((bits[x] >> shift) & 255u) - 128);
      const int16_t product = static_cast<int16_t>(bit * most);
      // Divided by 128 towards zero: a negative number gets 127 first.
      const int16_t rounded = static_cast<int16_t>(product + ((product >> 15) & 127));
      const int16_t grain = static_cast<int16_t>(rounded >> 7);
      const uint16_t sum = static_cast<uint16_t>(high[x] + 2 * here[x] + low[x] + 8);
      const int16_t value = static_cast<int16_t>(static_cast<int16_t>(sum >> 4) + grain);
      const int16_t least = value < 0 ? static_cast<int16_t>(0) : value;
      colour[x] = static_cast<uint8_t>(least > 255 ? static_cast<int16_t>(255) : least);
    }
  }
  const uint8_t *red = rows.colours, *green = red + width, *blue = green + width;
  for (int x = 0; x < width; ++x) {
    out[3 * x] = red[x];
    out[3 * x + 1] = green[x];
    out[3 * x + 2] = blue[x];
  }
}

}  // namespace

void shade_surfaces(const uint16_t* map, const uint8_t* shadow, int height, int width, const Surfaces& surfaces,
                    int noise, uint32_t seed, void* workspace, uint8_t* out) {
  const Rows rows = rows_in(workspace, width);
  const auto make = [&](int y) {
    const size_t at = static_cast<size_t>(y) * width;
    make_row(surfaces, map + at, shadow + at, y, rows);
  };
  if (height > 0) make(0);
  for (int y = 0; y < height; ++y) {
    if (y + 1 < height) make(y + 1);
    finish_row(y > 0 ? y - 1 : 0, y, y + 1 < height ? y + 1 : y, noise, seed, rows,
               out + static_cast<size_t>(y) * width * 3);
  }
}

}  // namespace vidgraph::KERNEL_ISA
