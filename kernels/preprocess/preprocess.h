// Sample positions and normalisation of `preprocess`, on values.
#pragma once

#include "../native/colour.h"
#include "gather.h"

namespace vidgraph {

enum class Element : int { float32, float16, uint8 };  // order of ELEMENTS in __init__.py

struct Resample {
  int height, width;              // of the output
  int y1, x1, y2, x2;             // content, in output pixels; outside is padding
  double scale_x, scale_y, offset_x, offset_y;
  float mean[3], inverse_std[3];  // per OUTPUT channel
  float padding[3];               // normalised, per OUTPUT channel
  bool bgr;
  bool single_positions;
  Element element;
  bool interleaved;  // the channels of a pixel are adjacent

  // Rows are written as they are computed, without narrowing or interleaving.
  bool is_plain() const { return element == Element::float32 && !interleaved; }
};

namespace KERNEL_ISA {

struct Tap {
  int index;     // of the lower sample
  float weight;  // of the sample after it
};

// Continuous position, in pixels of the frame, minus half a pixel: the index of a sample and a fraction.
// `single` computes it in float, as PyTorch does.
KERNEL_HD inline double sample_position(int output, double scale, double offset, bool single) {
  if (single) {
    const float scaled = static_cast<float>(scale) * (static_cast<float>(output) + 0.5f);
    return (scaled + static_cast<float>(offset)) - 0.5f;
  }
  return scale * (output + 0.5) + offset - 0.5;
}

// Splits a position into index and weight, held at the edges. In double, as OpenCV's INTER_LINEAR does.
KERNEL_HD inline Tap split_position(double position, int count) {
  if (!(position > 0)) return {0, 0.f};
  if (position >= count - 1) return count > 1 ? Tap{count - 2, 1.f} : Tap{0, 0.f};
  const int index = static_cast<int>(position);
  return {index, static_cast<float>(position - index)};
}

KERNEL_HD inline float normalise(float value, float mean, float inverse_std) { return (value - mean) * inverse_std; }

}  // namespace KERNEL_ISA

constexpr int kMaxComponents = 3;
constexpr int kRowsPerPlane = 2 + 2 * kMaxComponents;  // offsets, weights, two sampled rows of each component

// Bytes of scratch memory for the samplers of a content of `width` pixels.
inline size_t sampler_workspace(int width) {
  const size_t rows = static_cast<size_t>(width) * (sizeof(uint64_t) + kMaxPlanes * kRowsPerPlane * sizeof(float));
  return rows + kMaxPlanes * gather_workspace(width);
}

// Bytes of scratch memory, aligned to eight bytes: for the samplers, and for two output rows of three channels.
inline size_t preprocess_workspace(const Resample& resample) {
  const size_t staged = resample.is_plain() ? 0 : static_cast<size_t>(resample.width) * 6 * sizeof(float);
  return sampler_workspace(resample.x2 - resample.x1) + staged;
}

KERNEL_ENTRY(preprocess, const PictureView& picture, const Resample& resample, const YuvToRgb& colour, void* workspace,
             void* out)

}  // namespace vidgraph
