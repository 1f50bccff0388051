// CPU twin of `top_scores`, its first half: the scan. Few scores pass, so blocks without any are skipped at once.
#include "top_scores.h"

#include <cstring>

namespace vidgraph::KERNEL_ISA {
namespace {

constexpr int64_t kBlock = 32;

float score_at(const uint8_t* scores, int64_t index, int64_t stride) {
  float score;
  std::memcpy(&score, scores + index * stride, sizeof(score));
  return score;
}

template <int64_t kStride>
void scan(const uint8_t* scores, int64_t count, int64_t stride, float min_score, int64_t* found, int64_t* found_count) {
  const int64_t step = kStride ? kStride : stride;
  int64_t kept = 0;
  for (int64_t start = 0; start < count; start += kBlock) {
    const int64_t end = start + kBlock < count ? start + kBlock : count;
    int any = 0;
    for (int64_t i = start; i < end; ++i) any |= is_candidate(score_at(scores, i, step), min_score);
    if (!any) continue;
    for (int64_t i = start; i < end; ++i) {
      if (is_candidate(score_at(scores, i, step), min_score)) found[kept++] = i;
    }
  }
  *found_count = kept;
}

}  // namespace

void find_candidates(const uint8_t* scores, int64_t count, int64_t stride, float min_score, int64_t* found,
                     int64_t* found_count) {
  if (stride == sizeof(float)) return scan<sizeof(float)>(scores, count, stride, min_score, found, found_count);
  if (stride == 2 * sizeof(float)) return scan<2 * sizeof(float)>(scores, count, stride, min_score, found, found_count);
  scan<0>(scores, count, stride, min_score, found, found_count);
}

}  // namespace vidgraph::KERNEL_ISA
