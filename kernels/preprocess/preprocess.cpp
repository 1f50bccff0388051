// CPU twin of `preprocess`. Rows of the source are sampled horizontally into float rows and kept (two per component:
// the next output row often needs one of them again); a second loop blends them vertically, converts and normalises.
#include "preprocess.h"

#include <cstring>

#include "../native/narrow.h"
#include "gather.h"

namespace vidgraph::KERNEL_ISA {
namespace {

// Splits pairs into their two samples, at bits kFirst and kSecond, and blends those.
template <typename Pair, int kBits, int kFirst, int kSecond>
void blend_pairs(const uint64_t* slots, const float* __restrict weights, int count, int low_bits,
                 float* __restrict out) {
  constexpr Pair kMask = static_cast<Pair>((1u << kBits) - 1);
  const auto* __restrict pairs = reinterpret_cast<const Pair*>(slots);
  for (int j = 0; j < count; ++j) {
    const auto low = static_cast<float>(static_cast<int>((pairs[j] >> kFirst) & kMask) >> low_bits);
    const auto high = static_cast<float>(static_cast<int>((pairs[j] >> kSecond) & kMask) >> low_bits);
    out[j] = lerp(low, high, weights[j]);
  }
}

// Horizontal sampling positions of one plane, and the last two sampled rows of its components.
struct Sampler {
  const Plane* plane;
  int components;          // interleaved in the plane
  int sample_bytes;
  int low_bits;
  int count;               // outputs per row
  int* offsets;            // [count] bytes from the start of a row
  float* weights;          // [count]
  float* rows[2];          // [components][count] each
  int row_index[2];
  void* plan_workspace;
  GatherPlan plan;
  uint64_t* pairs;         // [count] scratch

  int pixel_bytes() const { return components * sample_bytes; }
};

void sample_row(const Sampler& s, const uint8_t* row, float* out) {
  uint8_t single[16];
  if (s.plane->width == 1) {  // there is no second sample to read
    std::memcpy(single, row, s.pixel_bytes());
    std::memcpy(single + s.pixel_bytes(), row, s.pixel_bytes());
    row = single;
  }
  const int n = s.count;
  gather_pairs(s.plan, row, s.offsets, n, reinterpret_cast<uint8_t*>(s.pairs));
  if (s.components == 3) {
    blend_pairs<uint64_t, 8, 0, 24>(s.pairs, s.weights, n, 0, out);
    blend_pairs<uint64_t, 8, 8, 32>(s.pairs, s.weights, n, 0, out + n);
    blend_pairs<uint64_t, 8, 16, 40>(s.pairs, s.weights, n, 0, out + 2 * n);
  } else if (s.pixel_bytes() == 1) {
    blend_pairs<uint16_t, 8, 0, 8>(s.pairs, s.weights, n, 0, out);
  } else if (s.components == 1) {
    blend_pairs<uint32_t, 16, 0, 16>(s.pairs, s.weights, n, s.low_bits, out);
  } else if (s.sample_bytes == 1) {
    blend_pairs<uint32_t, 8, 0, 16>(s.pairs, s.weights, n, 0, out);
    blend_pairs<uint32_t, 8, 8, 24>(s.pairs, s.weights, n, 0, out + n);
  } else {
    blend_pairs<uint64_t, 16, 0, 32>(s.pairs, s.weights, n, s.low_bits, out);
    blend_pairs<uint64_t, 16, 16, 48>(s.pairs, s.weights, n, s.low_bits, out + n);
  }
}

// The sampled row `index` of the plane, from the two that are kept where it is one of them.
const float* sampled_row(Sampler& s, int index) {
  const int slot = index & 1;  // the two rows of a tap never share one
  if (s.row_index[slot] != index) {
    sample_row(s, s.plane->data + index * s.plane->stride, s.rows[slot]);
    s.row_index[slot] = index;
  }
  return s.rows[slot];
}

struct RowBlend {
  const float *low[kMaxComponents], *high[kMaxComponents];
  float weight[kMaxComponents];
};

// What one row of conversion needs besides pointers; means and deviations in the order red, green, blue.
struct YuvRow {
  YuvToRgb colour;
  float luma_weight, chroma_weight;
  float mean[3], inverse_std[3];
  int count;
};

// Parameters, because compilers heed __restrict on these only: the loop has too many pointers for run-time checks.
void convert_yuv(const YuvRow& row, const float* __restrict y0, const float* __restrict y1,
                 const float* __restrict u0, const float* __restrict u1, const float* __restrict v0,
                 const float* __restrict v1, float* __restrict red, float* __restrict green, float* __restrict blue) {
  const YuvRow r = row;
  const YuvToRgb k = r.colour;
  for (int j = 0; j < r.count; ++j) {
    const float luma = (lerp(y0[j], y1[j], r.luma_weight) - k.luma_zero) * k.luma_scale;
    const float u = lerp(u0[j], u1[j], r.chroma_weight) - k.chroma_zero;
    const float v = lerp(v0[j], v1[j], r.chroma_weight) - k.chroma_zero;
    red[j] = normalise(clamp_255(luma + k.red_v * v), r.mean[0], r.inverse_std[0]);
    green[j] = normalise(clamp_255(luma + k.green_u * u + k.green_v * v), r.mean[1], r.inverse_std[1]);
    blue[j] = normalise(clamp_255(luma + k.blue_u * u), r.mean[2], r.inverse_std[2]);
  }
}

void write_yuv(const RowBlend& blend, const Resample& r, const YuvToRgb& c, int count, float* const out[3]) {
  YuvRow row{c, blend.weight[0], blend.weight[1], {}, {}, count};
  for (int channel = 0; channel < 3; ++channel) {
    row.mean[channel] = r.mean[r.bgr ? 2 - channel : channel];
    row.inverse_std[channel] = r.inverse_std[r.bgr ? 2 - channel : channel];
  }
  convert_yuv(row, blend.low[0], blend.high[0], blend.low[1], blend.high[1], blend.low[2], blend.high[2], out[0],
              out[1], out[2]);
}

void write_channel(const float* __restrict low, const float* __restrict high, float weight, float zero, float scale,
                   float mean, float inverse_std, int count, float* __restrict out) {
  for (int j = 0; j < count; ++j) {
    out[j] = normalise(clamp_255((lerp(low[j], high[j], weight) - zero) * scale), mean, inverse_std);
  }
}

void fill(float* out, int count, float value) {
  for (int j = 0; j < count; ++j) out[j] = value;
}

// Padding above and below the content, and left and right of it.
void write_padding(const Resample& r, float* out) {
  for (int channel = 0; channel < 3; ++channel) {
    for (int i = 0; i < r.height; ++i) {
      float* row = out + (static_cast<size_t>(channel) * r.height + i) * r.width;
      const bool inside = i >= r.y1 && i < r.y2;
      fill(row, inside ? r.x1 : r.width, r.padding[channel]);
      if (inside) fill(row + r.x2, r.width - r.x2, r.padding[channel]);
    }
  }
}

int plane_count(const PictureView& p) {
  return p.kind == Kind::planar ? 3 : p.kind == Kind::semi_planar ? 2 : 1;
}

void prepare_sampler(Sampler& s, const PictureView& p, int index, const Resample& r) {
  s.plane = &p.planes[index];
  s.components = p.kind == Kind::packed_rgb ? 3 : p.kind == Kind::semi_planar && index == 1 ? 2 : 1;
  s.sample_bytes = p.bits > 8 ? 2 : 1;
  s.low_bits = p.low_bits;
  s.count = r.x2 - r.x1;
  s.row_index[0] = s.row_index[1] = -1;
  for (int j = 0; j < s.count; ++j) {
    const double position = sample_position(r.x1 + j, r.scale_x, r.offset_x, r.single_positions);
    const Tap tap = split_position(index > 0 && p.shift_x ? position / 2 : position, s.plane->width);
    s.offsets[j] = tap.index * s.pixel_bytes();
    s.weights[j] = tap.weight;
  }
  const int pair_bytes = 2 * s.pixel_bytes(), slot_bytes = pair_bytes == 6 ? 8 : pair_bytes;
  const int row_bytes = s.plane->width * s.pixel_bytes();
  s.plan = plan_gather(s.offsets, s.count, pair_bytes, slot_bytes, row_bytes, s.plan_workspace);
}

// Shares the workspace out: one scratch row of pairs for all, then offsets, weights and rows of each sampler.
void place_samplers(Sampler* samplers, int count, int width, void* workspace) {
  auto* pairs = static_cast<uint64_t*>(workspace);
  auto* plans = reinterpret_cast<uint8_t*>(pairs + width);
  auto* words = reinterpret_cast<float*>(plans + count * gather_workspace(width));
  for (int i = 0; i < count; ++i, words += static_cast<size_t>(kRowsPerPlane) * width) {
    samplers[i].pairs = pairs;
    samplers[i].plan_workspace = plans + i * gather_workspace(width);
    samplers[i].offsets = reinterpret_cast<int*>(words);
    samplers[i].weights = words + width;
    samplers[i].rows[0] = words + 2 * width;
    samplers[i].rows[1] = words + (2 + kMaxComponents) * width;
  }
}

// The two source rows of every component for output row `i`.
RowBlend blend_of_row(Sampler* samplers, const PictureView& p, const Resample& r, int i) {
  RowBlend blend{};
  int component = 0;
  for (int index = 0; index < plane_count(p); ++index) {
    Sampler& s = samplers[index];
    const double position = sample_position(i, r.scale_y, r.offset_y, r.single_positions);
    const Tap tap = split_position(index > 0 && p.shift_y ? position / 2 - 0.25 : position, s.plane->height);
    const float* low = sampled_row(s, tap.index);
    const float* high = s.plane->height > 1 ? sampled_row(s, tap.index + 1) : low;
    for (int c = 0; c < s.components; ++c, ++component) {
      blend.low[component] = low + c * s.count;
      blend.high[component] = high + c * s.count;
      blend.weight[component] = tap.weight;
    }
  }
  return blend;
}

// `channels`: red, green, blue, from the first pixel of the content.
void write_row(const RowBlend& blend, const PictureView& p, const Resample& r, const YuvToRgb& c,
               float* const channels[3]) {
  const int count = r.x2 - r.x1;
  if (p.kind == Kind::planar || p.kind == Kind::semi_planar) {
    write_yuv(blend, r, c, count, channels);
    return;
  }
  const bool gray = p.kind == Kind::gray;
  for (int channel = 0; channel < 3; ++channel) {
    const int component = gray ? 0 : channel, place = r.bgr ? 2 - channel : channel;
    write_channel(blend.low[component], blend.high[component], blend.weight[component], gray ? c.luma_zero : 0.f,
                  gray ? c.luma_scale : 1.f, r.mean[place], r.inverse_std[place], count, channels[channel]);
  }
}

template <typename T>
void interleave(const T* __restrict first, const T* __restrict second, const T* __restrict third, int count,
                T* __restrict out) {
  for (int j = 0; j < count; ++j) {
    out[3 * j] = first[j];
    out[3 * j + 1] = second[j];
    out[3 * j + 2] = third[j];
  }
}

void copy_floats(const float* values, int count, float* out) { std::memcpy(out, values, sizeof(float) * count); }

// Writes row `i`, [3][width] in the order of the output, as the output wants it. `narrowed` has room for such a row.
template <typename T>
void store_row(const Resample& r, void (*narrow)(const float*, int, T*), const float* row, int i, void* narrowed,
               void* out) {
  const int width = r.width;
  if (r.interleaved) {
    T* rows = static_cast<T*>(narrowed);
    narrow(row, 3 * width, rows);
    interleave(rows, rows + width, rows + 2 * width, width, static_cast<T*>(out) + static_cast<size_t>(i) * width * 3);
    return;
  }
  for (int channel = 0; channel < 3; ++channel) {
    narrow(row + channel * width, width, static_cast<T*>(out) + (static_cast<size_t>(channel) * r.height + i) * width);
  }
}

void store_staged(const Resample& r, float* staged, int i, void* out) {
  float* narrowed = staged + 3 * r.width;
  switch (r.element) {
    case Element::float32: return store_row<float>(r, copy_floats, staged, i, narrowed, out);
    case Element::float16: return store_row<uint16_t>(r, to_halves, staged, i, narrowed, out);
    case Element::uint8: return store_row<uint8_t>(r, to_bytes, staged, i, narrowed, out);
  }
}

// Leaves the padding beside the content in `staged`.
void store_padding(const Resample& r, float* staged, void* out) {
  for (int channel = 0; channel < 3; ++channel) fill(staged + channel * r.width, r.width, r.padding[channel]);
  for (int i = 0; i < r.height; ++i) {
    if (i < r.y1 || i >= r.y2 || r.x1 >= r.x2) store_staged(r, staged, i, out);
  }
}

}  // namespace

void preprocess(const PictureView& picture, const Resample& r, const YuvToRgb& colour, void* workspace,
                void* out) {
  const bool plain = r.is_plain();
  auto* staged = reinterpret_cast<float*>(static_cast<uint8_t*>(workspace) + sampler_workspace(r.x2 - r.x1));
  if (plain) {
    write_padding(r, static_cast<float*>(out));
  } else {
    store_padding(r, staged, out);
  }
  if (r.y2 <= r.y1 || r.x2 <= r.x1) return;
  Sampler samplers[kMaxPlanes];
  place_samplers(samplers, plane_count(picture), r.x2 - r.x1, workspace);
  for (int index = 0; index < plane_count(picture); ++index) prepare_sampler(samplers[index], picture, index, r);
  const size_t step = static_cast<size_t>(plain ? r.height : 1) * r.width;  // from a channel to the next
  for (int i = r.y1; i < r.y2; ++i) {
    float* first = plain ? static_cast<float*>(out) + static_cast<size_t>(i) * r.width : staged;
    float* channels[3];
    for (int channel = 0; channel < 3; ++channel) {
      channels[channel] = first + (r.bgr ? 2 - channel : channel) * step + r.x1;
    }
    write_row(blend_of_row(samplers, picture, r, i), picture, r, colour, channels);
    if (!plain) store_staged(r, staged, i, out);
  }
}

}  // namespace vidgraph::KERNEL_ISA
