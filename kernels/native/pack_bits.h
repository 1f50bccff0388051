// Sixteen comparisons as sixteen bits, the first in the lowest. Which instructions do it changes no bit.
#pragma once

#include "kernel.h"

#if defined(VIDGRAPH_X86)
#include <immintrin.h>
#endif

namespace vidgraph::KERNEL_ISA {

// Bit i says whether values[i] > limit; NaN is not.
inline uint32_t bits_above(const float* values, float limit) {
#if defined(__AVX512F__)
  return _mm512_cmp_ps_mask(_mm512_loadu_ps(values), _mm512_set1_ps(limit), _CMP_GT_OQ);
#elif defined(__AVX2__)
  const __m256 limits = _mm256_set1_ps(limit);
  const auto eight = [&](const float* from) {
    return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(from), limits, _CMP_GT_OQ)));
  };
  return eight(values) | eight(values + 8) << 8;
#elif defined(VIDGRAPH_X86)
  const __m128 limits = _mm_set1_ps(limit);
  const auto four = [&](const float* from) {
    return static_cast<uint32_t>(_mm_movemask_ps(_mm_cmpgt_ps(_mm_loadu_ps(from), limits)));
  };
  return four(values) | four(values + 4) << 4 | four(values + 8) << 8 | four(values + 12) << 12;
#else
  uint32_t bits = 0;
  for (int i = 0; i < 16; ++i) bits |= static_cast<uint32_t>(values[i] > limit) << i;
  return bits;
#endif
}

// The bits of each byte in the opposite order.
KERNEL_HD inline uint64_t bytes_mirrored(uint64_t word) {
  word = (word >> 1 & uint64_t{0x5555555555555555}) | (word & uint64_t{0x5555555555555555}) << 1;
  word = (word >> 2 & uint64_t{0x3333333333333333}) | (word & uint64_t{0x3333333333333333}) << 2;
  return (word >> 4 & uint64_t{0x0f0f0f0f0f0f0f0f}) | (word & uint64_t{0x0f0f0f0f0f0f0f0f}) << 4;
}

}  // namespace vidgraph::KERNEL_ISA
