// The exponential in single precision, the same bits in every variant, in a form that loops over floats vectorise.
#pragma once

#include <cstring>

#include "kernel.h"

namespace vidgraph::KERNEL_ISA {

KERNEL_HD inline float float_of_bits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

KERNEL_HD inline uint32_t bits_of_float(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

// exp(x), within 1e-7 of it relatively, for x in [-87.3, 88]; outside, the value at that end; NaN for NaN.
// exp(x) = 2^n exp(r) with |r| <= ln(2) / 2; the polynomial in r was fitted for least relative error. Adding 1.5 * 2^23
// rounds to the nearest integer and leaves it in the low bits of the sum.
KERNEL_HD inline float exp_float(float x) {
  const float not_low = x < -87.3f ? -87.3f : x, held = not_low > 88.f ? 88.f : not_low;
  const float shifted = held * 1.44269504f + 12582912.f, n = shifted - 12582912.f;
  const float r = held - n * 0.693359375f + n * 2.12194440e-4f;
  float q = 0.0013814539415761828f;
  q = q * r + 0.00836874544620514f;
  q = q * r + 0.04166838899254799f;
  q = q * r + 0.1666652113199234f;
  q = q * r + 0.4999999403953552f;
  const float value = q * r * r + r + 1.f;
  return value * float_of_bits((bits_of_float(shifted) + 127u) << 23);
}

}  // namespace vidgraph::KERNEL_ISA
