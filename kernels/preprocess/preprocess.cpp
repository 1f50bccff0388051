// CPU twin of `preprocess`. Rows of the source are sampled horizontally into float rows and kept (two per component:
// the next output row often needs one of them again); a second loop blends them vertically, converts and normalises.
#include "preprocess.h"

#include <cstring>

namespace vidgraph::KERNEL_ISA {
namespace {

// Neighbouring samples are read as one integer. The loop is scalar (three moves a pixel); what follows is vectorised.
template <typename Pair>
void gather_pairs(const uint8_t* row, const int* offsets, int count, Pair* pairs) {
  for (int j = 0; j < count; ++j) std::memcpy(&pairs[j], row + offsets[j], sizeof(Pair));
}

template <typename Pair, int kBits>
void blend_pairs(const Pair* __restrict pairs, const float* __restrict weights, int count, int first, int second,
                 int low_bits, float* __restrict out) {
  constexpr Pair kMask = static_cast<Pair>((1u << kBits) - 1);
  for (int j = 0; j < count; ++j) {
    const auto low = static_cast<float>(static_cast<int>((pairs[j] >> first) & kMask) >> low_bits);
    const auto high = static_cast<float>(static_cast<int>((pairs[j] >> second) & kMask) >> low_bits);
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
  int wide;                // outputs before this one may be read eight bytes at a time (packed RGB)
  int* offsets;            // [count] bytes from the start of a row
  float* weights;          // [count]
  float* rows[2];          // [components][count] each
  int row_index[2];
  uint64_t* pairs;         // [count] scratch
};

void sample_packed_rgb(const Sampler& s, const uint8_t* row, float* out) {
  for (int j = 0; j < s.wide; ++j) std::memcpy(&s.pairs[j], row + s.offsets[j], 8);
  for (int j = s.wide; j < s.count; ++j) std::memcpy(&s.pairs[j], row + s.offsets[j], 6);
  for (int c = 0; c < 3; ++c) {
    blend_pairs<uint64_t, 8>(s.pairs, s.weights, s.count, 8 * c, 8 * c + 24, 0, out + c * s.count);
  }
}

void sample_row(const Sampler& s, const uint8_t* row, float* out) {
  const int pixel_bytes = s.components * s.sample_bytes;
  uint8_t single[16];
  if (s.plane->width == 1) {  // there is no second sample to read
    std::memcpy(single, row, pixel_bytes);
    std::memcpy(single + pixel_bytes, row, pixel_bytes);
    row = single;
  }
  if (s.components == 3) {
    sample_packed_rgb(s, row, out);
  } else if (pixel_bytes == 1) {
    auto* pairs = reinterpret_cast<uint16_t*>(s.pairs);
    gather_pairs(row, s.offsets, s.count, pairs);
    blend_pairs<uint16_t, 8>(pairs, s.weights, s.count, 0, 8, 0, out);
  } else if (s.components == 1) {
    auto* pairs = reinterpret_cast<uint32_t*>(s.pairs);
    gather_pairs(row, s.offsets, s.count, pairs);
    blend_pairs<uint32_t, 16>(pairs, s.weights, s.count, 0, 16, s.low_bits, out);
  } else if (s.sample_bytes == 1) {
    auto* pairs = reinterpret_cast<uint32_t*>(s.pairs);
    gather_pairs(row, s.offsets, s.count, pairs);
    blend_pairs<uint32_t, 8>(pairs, s.weights, s.count, 0, 16, 0, out);
    blend_pairs<uint32_t, 8>(pairs, s.weights, s.count, 8, 24, 0, out + s.count);
  } else {
    gather_pairs(row, s.offsets, s.count, s.pairs);
    blend_pairs<uint64_t, 16>(s.pairs, s.weights, s.count, 0, 32, s.low_bits, out);
    blend_pairs<uint64_t, 16>(s.pairs, s.weights, s.count, 16, 48, s.low_bits, out + s.count);
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

void write_yuv(const RowBlend& blend, const Resample& r, const YuvToRgb& c, int count, float* const out[3]) {
  const float *__restrict y0 = blend.low[0], *__restrict y1 = blend.high[0];
  const float *__restrict u0 = blend.low[1], *__restrict u1 = blend.high[1];
  const float *__restrict v0 = blend.low[2], *__restrict v1 = blend.high[2];
  float *__restrict red = out[0], *__restrict green = out[1], *__restrict blue = out[2];
  const int red_channel = r.bgr ? 2 : 0, blue_channel = 2 - red_channel;
  const float mean_r = r.mean[red_channel], mean_g = r.mean[1], mean_b = r.mean[blue_channel];
  const float std_r = r.inverse_std[red_channel], std_g = r.inverse_std[1], std_b = r.inverse_std[blue_channel];
  const float weight_y = blend.weight[0], weight_c = blend.weight[1];
  const YuvToRgb k = c;
  for (int j = 0; j < count; ++j) {
    const float luma = (lerp(y0[j], y1[j], weight_y) - k.luma_zero) * k.luma_scale;
    const float u = lerp(u0[j], u1[j], weight_c) - k.chroma_zero;
    const float v = lerp(v0[j], v1[j], weight_c) - k.chroma_zero;
    red[j] = normalise(clamp_255(luma + k.red_v * v), mean_r, std_r);
    green[j] = normalise(clamp_255(luma + k.green_u * u + k.green_v * v), mean_g, std_g);
    blue[j] = normalise(clamp_255(luma + k.blue_u * u), mean_b, std_b);
  }
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
  const int pixel_bytes = s.components * s.sample_bytes;
  const int row_bytes = s.plane->width == 1 ? 16 : s.plane->width * pixel_bytes;
  s.wide = 0;
  for (int j = 0; j < s.count; ++j) {
    const double position = sample_position(r.x1 + j, r.scale_x, r.offset_x);
    const Tap tap = split_position(index > 0 && p.shift_x ? position / 2 : position, s.plane->width);
    s.offsets[j] = tap.index * pixel_bytes;
    s.weights[j] = tap.weight;
    if (s.offsets[j] + 8 <= row_bytes) s.wide = j + 1;  // offsets never fall from one output to the next
  }
}

// Shares the workspace out: one scratch row of pairs for all, then offsets, weights and rows of each sampler.
void place_samplers(Sampler* samplers, int count, int width, void* workspace) {
  auto* pairs = static_cast<uint64_t*>(workspace);
  auto* words = reinterpret_cast<float*>(pairs + width);
  for (int i = 0; i < count; ++i, words += static_cast<size_t>(kRowsPerPlane) * width) {
    samplers[i].pairs = pairs;
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
    const double position = sample_position(i, r.scale_y, r.offset_y);
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

void write_row(const RowBlend& blend, const PictureView& p, const Resample& r, const YuvToRgb& c, int i, float* out) {
  float* channels[3];  // red, green, blue
  for (int channel = 0; channel < 3; ++channel) {
    const size_t place = r.bgr ? 2 - channel : channel;
    channels[channel] = out + (place * r.height + i) * r.width + r.x1;
  }
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

}  // namespace

void preprocess(const PictureView& picture, const Resample& resample, const YuvToRgb& colour, void* workspace,
                float* out) {
  write_padding(resample, out);
  if (resample.y2 <= resample.y1 || resample.x2 <= resample.x1) return;
  Sampler samplers[kMaxPlanes];
  place_samplers(samplers, plane_count(picture), resample.x2 - resample.x1, workspace);
  for (int index = 0; index < plane_count(picture); ++index) prepare_sampler(samplers[index], picture, index, resample);
  for (int i = resample.y1; i < resample.y2; ++i) {
    write_row(blend_of_row(samplers, picture, resample, i), picture, resample, colour, i, out);
  }
}

}  // namespace vidgraph::KERNEL_ISA
