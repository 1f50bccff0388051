// The names that CUDA gives device code, for the emulator.
#pragma once

#include "emulator.h"

namespace emulator {

template <class T>
uint64_t word_of(T value) {
  static_assert(sizeof(T) <= sizeof(uint64_t));
  uint64_t word = 0;
  std::memcpy(&word, &value, sizeof(T));
  return word;
}

template <class T>
T value_of(uint64_t word) {
  T value;
  std::memcpy(&value, &word, sizeof(T));
  return value;
}

enum Step { sync, ballot, any, all, shuffle, reduce };

template <class T>
T shuffled(unsigned mask, T value, int from, int kind) {
  const uint64_t* seen = exchange(kind, mask, word_of(value));
  if (!(mask >> from & 1u)) fail_shuffle();
  return value_of<T>(seen[from]);
}

inline int lane() { return here.lane; }

template <class T, class Combine>
T reduced(unsigned mask, T value, Combine combine) {
  const uint64_t* seen = exchange(Step::reduce, mask, word_of(value));
  bool first = true;
  T result{};
  for (int i = 0; i < kWarp; ++i) {
    if (!(mask >> i & 1u)) continue;
    result = first ? value_of<T>(seen[i]) : combine(result, value_of<T>(seen[i]));
    first = false;
  }
  return result;
}

template <class T, class Change>
T atomically(T* place, Change change) {
  const T old = *place;
  *place = change(old);
  return old;
}

}  // namespace emulator

// The names of CUDA. Shared arrays lie in a section of their own; a kernel that has them is no template.
#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static __attribute__((section("emulated_shared")))
#define DYNAMIC_SHARED(name) unsigned char* name = emulator::here.dynamic_shared
#define threadIdx (emulator::here.thread)
#define blockIdx (emulator::here.block)
#define blockDim (emulator::here.block_size)
#define gridDim (emulator::here.grid)
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) int2 {
  int x, y;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(4) uchar4 {
  unsigned char x, y, z, w;
};
constexpr int warpSize = emulator::kWarp;

inline void __syncthreads() { emulator::at_barrier(false); }
inline int __syncthreads_count(int predicate) { return emulator::at_barrier(predicate != 0); }
inline int __syncthreads_or(int predicate) { return __syncthreads_count(predicate) > 0; }
inline int __syncthreads_and(int predicate) { return __syncthreads_count(predicate == 0) == 0; }
inline void __syncwarp(unsigned mask = ~0u) { emulator::exchange(emulator::sync, mask, 0); }
inline void __threadfence() {}
inline void __threadfence_block() {}

inline unsigned __ballot_sync(unsigned mask, int predicate) {
  const uint64_t* seen = emulator::exchange(emulator::ballot, mask, predicate != 0);
  unsigned bits = 0;
  for (int i = 0; i < emulator::kWarp; ++i) {
    if (mask >> i & 1u) bits |= static_cast<unsigned>(seen[i]) << i;
  }
  return bits;
}
inline int __any_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return __ballot_sync(mask, predicate) == mask; }

// As CUDA, a lane beyond its segment of `width` reads its own value.
template <class T>
T __shfl_sync(unsigned mask, T value, int from, int width = emulator::kWarp) {
  const int first = emulator::lane() / width * width;
  return emulator::shuffled(mask, value, first + (from & (width - 1)), emulator::shuffle);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = emulator::kWarp) {
  const int lane = emulator::lane(), from = lane + static_cast<int>(by);
  return emulator::shuffled(mask, value, from / width == lane / width ? from : lane, emulator::shuffle);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = emulator::kWarp) {
  const int lane = emulator::lane(), from = lane - static_cast<int>(by);
  return emulator::shuffled(mask, value, from >= lane / width * width ? from : lane, emulator::shuffle);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int by, int width = emulator::kWarp) {
  const int lane = emulator::lane(), from = lane ^ by;
  return emulator::shuffled(mask, value, from / width == lane / width ? from : lane, emulator::shuffle);
}
template <class T>
T __reduce_add_sync(unsigned mask, T value) {
  return emulator::reduced(mask, value, [](T a, T b) { return static_cast<T>(a + b); });
}
template <class T>
T __reduce_max_sync(unsigned mask, T value) {
  return emulator::reduced(mask, value, [](T a, T b) { return a > b ? a : b; });
}
template <class T>
T __reduce_min_sync(unsigned mask, T value) {
  return emulator::reduced(mask, value, [](T a, T b) { return a < b ? a : b; });
}
template <class T>
T __reduce_or_sync(unsigned mask, T value) {
  return emulator::reduced(mask, value, [](T a, T b) { return static_cast<T>(a | b); });
}

template <class T, class U>
T atomicAdd(T* place, U value) {
  return emulator::atomically(place, [=](T old) { return static_cast<T>(old + static_cast<T>(value)); });
}
template <class T, class U>
T atomicMax(T* place, U value) {
  return emulator::atomically(place, [=](T old) { return old < static_cast<T>(value) ? static_cast<T>(value) : old; });
}
template <class T, class U>
T atomicMin(T* place, U value) {
  return emulator::atomically(place, [=](T old) { return static_cast<T>(value) < old ? static_cast<T>(value) : old; });
}
template <class T, class U>
T atomicOr(T* place, U value) {
  return emulator::atomically(place, [=](T old) { return static_cast<T>(old | static_cast<T>(value)); });
}
template <class T, class U>
T atomicAnd(T* place, U value) {
  return emulator::atomically(place, [=](T old) { return static_cast<T>(old & static_cast<T>(value)); });
}
template <class T, class U>
T atomicExch(T* place, U value) {
  return emulator::atomically(place, [=](T) { return static_cast<T>(value); });
}
template <class T, class U, class V>
T atomicCAS(T* place, U expected, V value) {
  return emulator::atomically(place, [=](T old) {
    return old == static_cast<T>(expected) ? static_cast<T>(value) : old;
  });
}

inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline int __popcll(unsigned long long bits) { return __builtin_popcountll(bits); }
inline int __ffs(int bits) { return __builtin_ffs(bits); }
inline int __ffsll(long long bits) { return __builtin_ffsll(bits); }
inline int __clz(int bits) { return bits ? __builtin_clz(static_cast<unsigned>(bits)) : 32; }
inline int __clzll(long long bits) { return bits ? __builtin_clzll(static_cast<unsigned long long>(bits)) : 64; }
inline unsigned __brev(unsigned bits) {
  unsigned reversed = 0;
  for (int i = 0; i < 32; ++i) reversed |= (bits >> i & 1u) << (31 - i);
  return reversed;
}
template <class T>
T __ldg(const T* place) {
  return *place;
}
