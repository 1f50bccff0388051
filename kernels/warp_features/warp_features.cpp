// CPU twin of `warp_features`: where each pixel comes from is worked out once for all channels.
#include "warp_features.h"

namespace vidgraph::KERNEL_ISA {

void flow_samples(const float* flow, int height, int width, SampleTable table) {
  const int64_t pixels = static_cast<int64_t>(height) * width;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      const int64_t at = static_cast<int64_t>(y) * width + x;
      const Samples samples = samples_of(x, y, flow[at], flow[pixels + at], width, height);
      for (int corner = 0; corner < 4; ++corner) {
        table.index[corner * pixels + at] = samples.index[corner];
        table.weight[corner * pixels + at] = samples.weight[corner];
      }
    }
  }
}

void warp_features(const float* feature, SampleTable table, int64_t channels, int64_t pixels, const float* scale,
                   const float* bias, float* out) {
  const int32_t *i0 = table.index, *i1 = i0 + pixels, *i2 = i1 + pixels, *i3 = i2 + pixels;
  const float *w0 = table.weight, *w1 = w0 + pixels, *w2 = w1 + pixels, *w3 = w2 + pixels;
  for (int64_t c = 0; c < channels; ++c) {
    const float* from = feature + c * pixels;
    float* __restrict to = out + c * pixels;
    for (int64_t p = 0; p < pixels; ++p) {
      to[p] = w0[p] * from[i0[p]] + w1[p] * from[i1[p]] + w2[p] * from[i2[p]] + w3[p] * from[i3[p]];
    }
    if (scale) {
      for (int64_t p = 0; p < pixels; ++p) to[p] *= scale[c * pixels + p];
    }
    if (bias) {
      for (int64_t p = 0; p < pixels; ++p) to[p] += bias[c * pixels + p];
    }
  }
}

}  // namespace vidgraph::KERNEL_ISA
