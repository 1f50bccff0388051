// Sums and maxima in sixteen lanes: every variant combines the same numbers in the same order.
#pragma once

#include "kernel.h"

namespace vidgraph::KERNEL_ISA {

constexpr int kLanes = 16;

#if !defined(__CUDACC__)
// Vectors of one register, for loops over lanes that compilers would keep in memory.
#if defined(__AVX512F__)
constexpr int kRegister = 16;
#elif defined(__AVX2__)
constexpr int kRegister = 8;
#else
constexpr int kRegister = 4;
#endif
typedef float Floats __attribute__((vector_size(kRegister * sizeof(float))));
typedef int32_t Words __attribute__((vector_size(kRegister * sizeof(int32_t))));

inline Floats load_floats(const float* from) {
  Floats values;
  __builtin_memcpy(&values, from, sizeof(values));
  return values;
}
#endif

KERNEL_HD inline float larger_of(float a, float b) { return a > b ? a : b; }

// Leaves four partial sums. The steps are written out, as compilers keep them in registers only then.
KERNEL_HD inline void add_to_four(const float* lanes, float* four) {
  for (int l = 0; l < 4; ++l) four[l] = (lanes[l] + lanes[l + 8]) + (lanes[l + 4] + lanes[l + 12]);
}

KERNEL_HD inline float sum_of_four(const float* four) { return (four[0] + four[2]) + (four[1] + four[3]); }

KERNEL_HD inline float sum_of_lanes(const float* lanes) {
  float four[4];
  add_to_four(lanes, four);
  return sum_of_four(four);
}

KERNEL_HD inline float largest_of_lanes(const float* lanes) {
  float four[4];
  for (int l = 0; l < 4; ++l) {
    four[l] = larger_of(larger_of(lanes[l], lanes[l + 8]), larger_of(lanes[l + 4], lanes[l + 12]));
  }
  return larger_of(larger_of(four[0], four[2]), larger_of(four[1], four[3]));
}

}  // namespace vidgraph::KERNEL_ISA
