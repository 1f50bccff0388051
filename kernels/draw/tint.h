// One colour with one alpha over as many pixels as a register has bytes, where a word of bits says so. Two bytes lie in
// each lane of sixteen bits, so nothing is unpacked. Which instructions do it changes no bit.
#pragma once

#include <cstring>

#include "draw.h"

#if defined(VIDGRAPH_X86)
#include <immintrin.h>
#endif

namespace vidgraph::KERNEL_ISA {

#if defined(__AVX512BW__)
constexpr int kUnit = 64;  // pixels
#elif defined(__AVX2__)
constexpr int kUnit = 32;
#else
constexpr int kUnit = 16;
#endif

constexpr uint64_t kUnitBits = ~UINT64_C(0) << (64 - kUnit);  // of a word whose highest bit is the first pixel

typedef uint8_t Bytes __attribute__((vector_size(kUnit)));
typedef uint16_t Pairs __attribute__((vector_size(kUnit)));
typedef uint8_t HalfBytes __attribute__((vector_size(kUnit / 2)));

template <typename Vector>
inline Vector load(const void* from) {
  Vector vector;
  std::memcpy(&vector, from, sizeof(vector));
  return vector;
}

template <typename Vector>
inline void store(Vector vector, uint8_t* to) {
  std::memcpy(to, &vector, sizeof(vector));
}

// Byte i of vector v belongs to pixel (v * kUnit + i) / kChannels: in which byte of a word its bit is, and where.
template <int kChannels>
struct BitPlaces {
  uint8_t byte[kChannels][kUnit], bit[kChannels][kUnit];
};

template <int kChannels>
constexpr BitPlaces<kChannels> bit_places() {
  BitPlaces<kChannels> places{};
  for (int i = 0; i < kChannels * kUnit; ++i) {
    const int pixel = i / kChannels;
    places.byte[i / kUnit][i % kUnit] = static_cast<uint8_t>(7 - pixel / 8);
    places.bit[i / kUnit][i % kUnit] = static_cast<uint8_t>(0x80 >> pixel % 8);
  }
  return places;
}

// 255 in the bytes of vector v whose pixel is set, 0 in the others. The first pixel is the highest bit of `word`.
template <int kChannels>
inline Bytes spread(uint64_t word, int v) {
  static constexpr BitPlaces<kChannels> kPlaces = bit_places<kChannels>();
  const uint8_t *byte = kPlaces.byte[v], *bit = kPlaces.bit[v];
#if defined(__AVX512BW__)
  const __m512i words = _mm512_set1_epi64(static_cast<int64_t>(word));
  const __m512i shuffled = _mm512_shuffle_epi8(words, load<__m512i>(byte));
  return reinterpret_cast<Bytes>(_mm512_movm_epi8(_mm512_test_epi8_mask(shuffled, load<__m512i>(bit))));
#elif defined(__AVX2__)
  const __m256i words = _mm256_set1_epi64x(static_cast<int64_t>(word)), bits = load<__m256i>(bit);
  const __m256i shuffled = _mm256_shuffle_epi8(words, load<__m256i>(byte));
  return reinterpret_cast<Bytes>(_mm256_cmpeq_epi8(_mm256_and_si256(shuffled, bits), bits));
#elif defined(VIDGRAPH_X86)
  const __m128i words = _mm_set1_epi64x(static_cast<int64_t>(word)), bits = load<__m128i>(bit);
  const __m128i shuffled = _mm_shuffle_epi8(words, load<__m128i>(byte));
  return reinterpret_cast<Bytes>(_mm_cmpeq_epi8(_mm_and_si128(shuffled, bits), bits));
#else
  Bytes spread_bits;
  for (int i = 0; i < kUnit; ++i) spread_bits[i] = word >> (8 * byte[i]) & bit[i] ? 255 : 0;
  return spread_bits;
#endif
}

// As `blend` of values in lanes: `kept` is 255 - alpha, `added` is over * alpha + 128.
inline Pairs blend_lanes(Pairs under, Pairs kept, Pairs added) {
  const Pairs sum = under * kept + added;
  return (sum + (sum >> 8)) >> 8;
}

// The same of both bytes of each lane.
inline Pairs blend_bytes(Pairs under, Pairs kept, Pairs added_low, Pairs added_high) {
  const Pairs high = (under >> 8) * kept + added_high;
  return blend_lanes(under & 255, kept, added_low) | ((high + (high >> 8)) & 0xff00);
}

inline Bytes chosen(Bytes under, Pairs over, Bytes where) {
  return under ^ ((under ^ reinterpret_cast<Bytes>(over)) & where);
}

// One colour over packed pixels of kChannels bytes.
template <int kChannels>
class PixelTint {
 public:
  PixelTint(const uint8_t* values, uint8_t alpha) : kept_(Pairs{} + static_cast<uint16_t>(255 - alpha)) {
    for (int v = 0; v < kChannels; ++v) {
      for (int parity = 0; parity < 2; ++parity) {
        added_[v][parity] = Pairs{};
        for (int c = 0; c < kChannels; ++c) {
          const auto added = static_cast<uint16_t>(values[c] * alpha + 128);
          added_[v][parity] |= load<Pairs>(kLanes.of[v][parity][c]) & added;
        }
      }
    }
  }

  // kUnit pixels, `word` is not 0.
  void apply(uint64_t word, uint8_t* pixels) const {
    const bool all = word == kUnitBits;
    for (int v = 0; v < kChannels; ++v) {
      const auto under = load<Pairs>(pixels + v * kUnit);
      const Pairs over = blend_bytes(under, kept_, added_[v][0], added_[v][1]);
      const auto old = reinterpret_cast<Bytes>(under);
      store(all ? reinterpret_cast<Bytes>(over) : chosen(old, over, spread<kChannels>(word, v)), pixels + v * kUnit);
    }
  }

 private:
  // All ones where a byte (the low or the high one) of a lane belongs to a channel.
  struct ChannelLanes {
    uint16_t of[kChannels][2][kChannels][kUnit / 2];
  };

  static constexpr ChannelLanes channel_lanes() {
    ChannelLanes lanes{};
    for (int i = 0; i < kChannels * kUnit; ++i) {
      lanes.of[i / kUnit][i % 2][i % kChannels][i % kUnit / 2] = 0xffff;
    }
    return lanes;
  }

  static constexpr ChannelLanes kLanes = channel_lanes();

  Pairs kept_, added_[kChannels][2];
};

// Two colours over samples that stand for two pixels each side by side, and perhaps of two rows.
class HalvedTint {
 public:
  HalvedTint(const uint8_t* values, uint8_t alpha, int shift)
      : value_{values[0], values[1]}, alpha_(alpha), shift_(shift) {}

  // The mean alpha of kUnit / 2 samples from the pixels of one row, or of two.
  Pairs alphas(uint64_t word, uint64_t word_below) const {
    const auto ones = [](uint64_t bits) { return reinterpret_cast<Pairs>(spread<1>(bits, 0)) & 0x0101; };
    const Pairs set = shift_ == 1 ? ones(word) : ones(word) + ones(word_below);
    const Pairs sum = ((set & 255) + (set >> 8)) * alpha_ + static_cast<uint16_t>(shift_);  // 1 << (shift - 1) is shift
    return shift_ == 1 ? sum >> 1 : sum >> 2;
  }

  // Samples of the first or the second colour.
  void apply(Pairs alphas, int which, uint8_t* samples) const {
    const Pairs under = __builtin_convertvector(load<HalfBytes>(samples), Pairs);
    const Pairs over = blend_lanes(under, 255 - alphas, alphas * value_[which] + 128);
    store(__builtin_convertvector(over, HalfBytes), samples);
  }

  void apply_interleaved(Pairs alphas, uint8_t* both) const {
    const Pairs added_first = alphas * value_[0] + 128, added_second = alphas * value_[1] + 128;
    store(blend_bytes(load<Pairs>(both), 255 - alphas, added_first, added_second), both);
  }

 private:
  uint16_t value_[2], alpha_;
  int shift_;
};

}  // namespace vidgraph::KERNEL_ISA
