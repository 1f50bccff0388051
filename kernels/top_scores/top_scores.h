// Which scores count and which comes first, on values.
#pragma once

#include "../native/kernel.h"

namespace vidgraph {
namespace KERNEL_ISA {

KERNEL_HD inline bool is_candidate(float score, float min_score) { return score > min_score; }  // false for NaN

KERNEL_HD inline bool comes_before(float score_a, int64_t a, float score_b, int64_t b) {
  return score_a > score_b || (score_a == score_b && a < b);
}

}  // namespace KERNEL_ISA

// Writes the indices of the candidates in rising order; `stride` is in bytes. `found` may be as long as `count`.
KERNEL_ENTRY(find_candidates, const uint8_t* scores, int64_t count, int64_t stride, float min_score, int64_t* found,
             int64_t* found_count)

}  // namespace vidgraph
