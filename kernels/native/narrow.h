// Rounding of rows of floats to smaller numbers, to nearest and half to even: the same bits in every variant.
#pragma once

#include "colour.h"
#include "exponential.h"

#if defined(__F16C__)
#include <immintrin.h>
#endif

namespace vidgraph::KERNEL_ISA {

// The bits of the nearest float16; above 65519, infinity; NaN stays a (quiet) NaN.
KERNEL_HD inline uint16_t half_of(float value) {
  constexpr uint32_t kInfinity = 255u << 23, kTooLarge = 143u << 23, kNormal = 113u << 23;
  constexpr uint32_t kHalfInfinity = 0x7c00u, kQuiet = 0x0200u, kSmallStep = 126u << 23;
  const uint32_t bits = bits_of_float(value), size = bits & 0x7fffffffu, sign = bits >> 16 & 0x8000u;
  // Where the spacing of floats is that of float16's smallest numbers, adding rounds to it.
  const uint32_t small = bits_of_float(float_of_bits(size) + float_of_bits(kSmallStep)) - kSmallStep;
  const uint32_t normal = (size - (112u << 23) + 0xfffu + (size >> 13 & 1u)) >> 13;
  const uint32_t missing = kHalfInfinity | kQuiet | (size >> 13 & 0x3ffu);
  const uint32_t large = size > kInfinity ? missing : kHalfInfinity;
  const uint32_t finite = size < kNormal ? small : normal;
  return static_cast<uint16_t>(sign | (size >= kTooLarge ? large : finite));
}

// The nearest whole number of 0 to 255; 0 for NaN. Adding 1.5 * 2^23 rounds and leaves the result in the low bits.
KERNEL_HD inline uint8_t byte_of(float value) {
  return static_cast<uint8_t>(bits_of_float(clamp_255(value) + 12582912.f));
}

inline void to_halves(const float* values, int count, uint16_t* __restrict out) {
  int j = 0;
#if defined(__F16C__)
  for (; j + 8 <= count; j += 8) {
    const __m128i halves = _mm256_cvtps_ph(_mm256_loadu_ps(values + j), _MM_FROUND_TO_NEAREST_INT);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + j), halves);
  }
#endif
  for (; j < count; ++j) out[j] = half_of(values[j]);
}

inline void to_bytes(const float* values, int count, uint8_t* __restrict out) {
  for (int j = 0; j < count; ++j) out[j] = byte_of(values[j]);
}

}  // namespace vidgraph::KERNEL_ISA
