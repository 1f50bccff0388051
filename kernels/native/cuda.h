// What every CUDA kernel begins with. Its source is compiled by nvcc, by NVRTC, and by the tests' emulator as C++.
//
// Conventions: a kernel is `extern "C" __global__`, no template (its shared arrays have names), takes pointers, numbers
// and small structs, and neither allocates nor waits for the host. Block sizes are compiled in, and a multiple of a warp.
// Arithmetic is not contracted (-fmad=false), so that results are those of the CPU twin, bit by bit, where its order of
// operations is kept.
#pragma once

#include "kernel.h"

// Threads of a block, and how many blocks a multiprocessor is to have room for, where more would cost spills.
#define CUDA_KERNEL(...) extern "C" __global__ void __launch_bounds__(__VA_ARGS__)

namespace vidgraph {

constexpr int kWarpLanes = 32;
constexpr unsigned kAllLanes = 0xffffffffu;

// Position of this thread among all of the launch, for kernels of one axis.
__device__ inline int64_t global_index() { return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; }

// How far apart the things are that one thread works on, for kernels of one axis with fewer threads than things.
__device__ inline int64_t grid_step() { return static_cast<int64_t>(gridDim.x) * blockDim.x; }

// How many things there are: what a kernel before has left at `known`, or all of `room` where that is null.
__device__ inline int64_t counted(const int* known, int64_t room) { return known ? *known : room; }

__device__ inline bool is_among(int number, const int* numbers, int count) {
  bool found = false;
  for (int i = 0; i < count; ++i) found |= numbers[i] == number;
  return found;
}

// A plane of a picture by its number. An index that is not known at compile time would put the picture into local memory.
__device__ inline Plane plane_of(const PictureView& p, int index) {
  const Plane &a = p.planes[0], &b = p.planes[1], &c = p.planes[2];
  return {index == 0 ? a.data : index == 1 ? b.data : c.data, index == 0 ? a.stride : index == 1 ? b.stride : c.stride,
          index == 0 ? a.height : index == 1 ? b.height : c.height,
          index == 0 ? a.width : index == 1 ? b.width : c.width};
}

// How many threads before this one in the block say yes, and in `total` how many do in all. All threads call it, with
// room for a number per warp and one more.
template <int kThreads>
__device__ inline int count_before(bool yes, int* per_warp, int* total) {
  const int thread = threadIdx.x, warp = thread / kWarpLanes, lane = thread % kWarpLanes;
  const unsigned votes = __ballot_sync(kAllLanes, yes);
  if (lane == 0) per_warp[warp] = __popc(votes);
  __syncthreads();
  int before = __popc(votes & ((1u << lane) - 1u)), all = 0;
  for (int w = 0; w < kThreads / kWarpLanes; ++w) {
    before += w < warp ? per_warp[w] : 0;
    all += per_warp[w];
  }
  *total = all;
  __syncthreads();
  return before;
}

}  // namespace vidgraph
