// Reads neighbouring samples of a row at given places and lays them out one pair after the other.
//
// On x86 sixteen bytes of pairs come from one to four loads and byte shuffles, prepared once per geometry; elsewhere,
// and where an output pixel spans very many source pixels, from one small copy per pair. Both give the same bytes.
#pragma once

#include <cstring>

#include "../native/kernel.h"

#if defined(__SSSE3__)
#include <tmmintrin.h>
#endif

namespace vidgraph {

constexpr int kMaxLoads = 4;
constexpr int kVectorBytes = 16;

// Bytes of scratch memory for one plan of `count` pairs of at most eight bytes.
inline size_t gather_workspace(int count) {
  const size_t blocks = static_cast<size_t>(count) * 8 / kVectorBytes + 1;
  return blocks * (kMaxLoads * kVectorBytes + sizeof(int64_t));
}

namespace KERNEL_ISA {

struct GatherPlan {
  int pair_bytes;      // read per pair
  int slot_bytes;      // written per pair: 2, 4 or 8
  int loads;           // per block of sixteen bytes written; 0: no blocks
  int blocks;
  const int* bases;    // [blocks] first byte read
  const uint8_t* take; // [blocks][loads][16] byte of the load, or 0x80 for a zero
};

#if defined(__SSSE3__)
// `offsets` never fall from one pair to the next. A row is `row_bytes` long; nothing is read outside it.
inline GatherPlan plan_gather(const int* offsets, int count, int pair_bytes, int slot_bytes, int row_bytes,
                              void* workspace) {
  const int per_block = kVectorBytes / slot_bytes, blocks = count / per_block;
  int loads = 1;
  for (int b = 0; b < blocks; ++b) {
    const int span = offsets[(b + 1) * per_block - 1] + pair_bytes - offsets[b * per_block];
    while (loads <= kMaxLoads && span > loads * kVectorBytes) ++loads;
  }
  auto* bases = static_cast<int*>(workspace);
  auto* take = reinterpret_cast<uint8_t*>(static_cast<int64_t*>(workspace) + blocks);
  if (loads > kMaxLoads || row_bytes < loads * kVectorBytes) return {pair_bytes, slot_bytes, 0, 0, bases, take};
  std::memset(take, 0x80, static_cast<size_t>(blocks) * loads * kVectorBytes);
  for (int b = 0; b < blocks; ++b) {
    const int last_base = row_bytes - loads * kVectorBytes, first = offsets[b * per_block];
    bases[b] = first < last_base ? first : last_base;
    for (int i = 0; i < per_block * slot_bytes; ++i) {
      const int byte = i % slot_bytes;
      if (byte >= pair_bytes) continue;
      const int from = offsets[b * per_block + i / slot_bytes] + byte - bases[b];
      take[(b * loads + from / kVectorBytes) * kVectorBytes + i] = static_cast<uint8_t>(from % kVectorBytes);
    }
  }
  return {pair_bytes, slot_bytes, loads, blocks, bases, take};
}

template <int kLoads>
void gather_blocks(const GatherPlan& plan, const uint8_t* row, uint8_t* out) {
  const auto* take = reinterpret_cast<const __m128i*>(plan.take);
  for (int b = 0; b < plan.blocks; ++b, take += kLoads) {
    const uint8_t* from = row + plan.bases[b];
    __m128i pairs = _mm_setzero_si128();
    for (int load = 0; load < kLoads; ++load) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + load * kVectorBytes));
      pairs = _mm_or_si128(pairs, _mm_shuffle_epi8(bytes, _mm_loadu_si128(take + load)));
    }
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out) + b, pairs);
  }
}

// Returns how many pairs were written.
inline int gather_vectors(const GatherPlan& plan, const uint8_t* row, uint8_t* out) {
  switch (plan.loads) {
    case 1: gather_blocks<1>(plan, row, out); break;
    case 2: gather_blocks<2>(plan, row, out); break;
    case 3: gather_blocks<3>(plan, row, out); break;
    case 4: gather_blocks<4>(plan, row, out); break;
    default: break;
  }
  return plan.blocks * (kVectorBytes / plan.slot_bytes);
}
#else
inline GatherPlan plan_gather(const int*, int, int pair_bytes, int slot_bytes, int, void*) {
  return {pair_bytes, slot_bytes, 0, 0, nullptr, nullptr};
}

inline int gather_vectors(const GatherPlan&, const uint8_t*, uint8_t*) { return 0; }
#endif

template <int kPairBytes, int kSlotBytes>
void gather_rest(const uint8_t* row, const int* offsets, int first, int count, uint8_t* out) {
  for (int j = first; j < count; ++j) std::memcpy(out + j * kSlotBytes, row + offsets[j], kPairBytes);
}

// Writes `count` slots of plan.slot_bytes each; bytes of a slot past the pair are zero or left as they were.
inline void gather_pairs(const GatherPlan& plan, const uint8_t* row, const int* offsets, int count, uint8_t* out) {
  const int done = gather_vectors(plan, row, out);
  switch (plan.pair_bytes) {
    case 2: return gather_rest<2, 2>(row, offsets, done, count, out);
    case 4: return gather_rest<4, 4>(row, offsets, done, count, out);
    case 6: return gather_rest<6, 8>(row, offsets, done, count, out);
    default: return gather_rest<8, 8>(row, offsets, done, count, out);
  }
}

}  // namespace KERNEL_ISA
}  // namespace vidgraph
