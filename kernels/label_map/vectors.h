// Numbers as wide as a register of the variant. Which instructions pick them changes no bit.
#pragma once

#include <cstring>

#include "../native/lanes.h"

#if defined(VIDGRAPH_X86)
#include <immintrin.h>
#endif

namespace vidgraph::KERNEL_ISA {

constexpr int kWidth = kRegister;

typedef Words Ints;

template <typename Vector, typename Number>
inline Vector loaded(const Number* from) {
  Vector vector;
  std::memcpy(&vector, from, sizeof(vector));
  return vector;
}

// The numbers row[from[0]], row[from[1]], …; with kNear, all of `from` lie below kWidth.
template <bool kNear>
inline Floats picked(const float* row, Ints from) {
#if defined(__AVX512F__)
  const auto index = reinterpret_cast<__m512i>(from);
  constexpr __mmask16 kAll = 0xffff;  // as GCC 12 warns of the forms without a mask
  if (kNear) return _mm512_maskz_permutexvar_ps(kAll, index, _mm512_loadu_ps(row));
  return _mm512_mask_i32gather_ps(_mm512_setzero_ps(), kAll, index, row, 4);
#elif defined(__AVX2__)
  const auto index = reinterpret_cast<__m256i>(from);
  if (kNear) return _mm256_permutevar8x32_ps(_mm256_loadu_ps(row), index);
  return _mm256_i32gather_ps(row, index, 4);
#else
  Floats numbers;
  for (int l = 0; l < kWidth; ++l) numbers[l] = row[from[l]];
  return numbers;
#endif
}

}  // namespace vidgraph::KERNEL_ISA
