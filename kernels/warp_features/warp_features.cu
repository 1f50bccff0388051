// CUDA twin of `warp_features`: a thread works out where its pixel comes from and samples some of the channels there.
#include "../native/cuda.h"
#include "warp_features.h"

namespace vidgraph {
namespace {

constexpr int kThreads = 256;

}  // namespace

// `flow` [2][height][width], x then y; the others [channels][height][width]; `scale` and `bias` may be null. Along x, a
// thread has a pixel; along y, a block has the channels that are its own modulo the number of blocks.
CUDA_KERNEL(kThreads)
warp_pixels(const float* feature, const float* flow, int channels, int height, int width, const float* scale,
            const float* bias, float* out) {
  const int64_t pixels = static_cast<int64_t>(height) * width, at = global_index();
  if (at >= pixels) return;
  const int y = static_cast<int>(at) / width, x = static_cast<int>(at) % width;
  const Samples from = KERNEL_ISA::samples_of(x, y, flow[at], flow[pixels + at], width, height);
  for (int64_t c = blockIdx.y; c < channels; c += gridDim.y) {
    const float* map = feature + c * pixels;
    float value = from.weight[0] * map[from.index[0]] + from.weight[1] * map[from.index[1]] +
                  from.weight[2] * map[from.index[2]] + from.weight[3] * map[from.index[3]];
    if (scale) value *= scale[c * pixels + at];
    if (bias) value += bias[c * pixels + at];
    out[c * pixels + at] = value;
  }
}

}  // namespace vidgraph
