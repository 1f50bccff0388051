// From a map of flat surfaces to a picture: colour, texture, shadow, motion blur, softness and noise, on values.
#pragma once

#include "../native/kernel.h"

namespace vidgraph {

constexpr int kTextureSide = 256;  // of a texture, in texels; it repeats

// What a frame is made of; arrays of `count` surfaces. `inverse` maps pixels (x, y, 1) to texels, row by row.
struct Surfaces {
  const float* colours;    // [count, 3], 0..255
  const float* inverse;    // [count, 3, 3]
  const float* amplitude;  // [count], how much the texture changes the colour
  const float* fade;       // [count], > 0: in perspective, and where textures get finer than pixels
  const int32_t* texture;  // [count]
  const uint8_t* shaded;   // [count], takes shadows
  const int32_t* blur;     // [count], radius of the motion blur along rows, in pixels
  const uint8_t* textures; // [T, 256, 256], 128 changes nothing
};

namespace KERNEL_ISA {

KERNEL_HD inline float clamp_to(float value, float low, float high) {
  return value < low ? low : value > high ? high : value;
}

// Texel of a coordinate, which repeats.
KERNEL_HD inline int texel(float coordinate) {
  const float not_far = coordinate < 1e6f ? coordinate : 1e6f;  // also for NaN, as in perspective at the horizon
  const float inside = not_far > -1e6f ? not_far : -1e6f;
  const int truncated = static_cast<int>(inside);
  return (truncated - (inside < static_cast<float>(truncated))) & (kTextureSide - 1);
}

// Noise of a pixel: four independent bytes. Source: the finaliser of xxHash32 (a mixing of bits).
KERNEL_HD inline uint32_t mixed_bits(uint32_t place, uint32_t seed) {
  uint32_t h = (place + seed) * 2654435761u;
  h ^= h >> 15;
  h *= 2246822519u;
  h ^= h >> 13;
  h *= 3266489917u;
  return h ^ (h >> 16);
}

}  // namespace KERNEL_ISA

// Bytes of scratch memory.
inline size_t shade_workspace(int width) { return static_cast<size_t>(width + 2) * (16 + 6 + 18 + 3) + 64; }

// `map`, `shadow`: [height, width]; `out`: [height, width, 3].
KERNEL_ENTRY(shade_surfaces, const uint16_t* map, const uint8_t* shadow, int height, int width,
             const Surfaces& surfaces, int noise, uint32_t seed, void* workspace, uint8_t* out)

}  // namespace vidgraph
