// CUDA twin of `eight_bits`: one launch for all planes. A block takes a part of a row, a thread every 256th sample of it.
#include "../native/cuda.h"

namespace vidgraph {
namespace {

constexpr int kThreads = 256, kSamples = 4;  // of a thread

// Rounded to the nearest by dropping `shift` bits.
__device__ inline uint8_t rounded(int sample, int shift) {
  const int nearest = shift ? (sample >> shift) + (sample >> (shift - 1) & 1) : sample;
  return static_cast<uint8_t>(nearest > 255 ? 255 : nearest);
}

template <typename Sample>
__device__ inline void copy_part(const uint8_t* from, uint8_t* to, int first, int end, int shift) {
  const auto* samples = reinterpret_cast<const Sample*>(from);
  for (int k = first; k < end; k += kThreads) to[k] = rounded(samples[k], shift);
}

}  // namespace

// Both have the same planes and size. Blocks along z are planes, those along x the parts of their rows.
CUDA_KERNEL(kThreads) eight_bits_planes(PictureView picture, PictureView out) {
  const int index = static_cast<int>(blockIdx.z), part = kThreads * kSamples;
  const Plane from = plane_of(picture, index), to = plane_of(out, index);
  const bool paired = picture.kind == Kind::semi_planar && index > 0;
  const int samples = from.width * (picture.kind == Kind::packed_rgb ? 3 : paired ? 2 : 1);
  const int across = (samples + part - 1) / part, row = static_cast<int>(blockIdx.x) / across;
  if (row >= from.height) return;
  const int begin = static_cast<int>(blockIdx.x) % across * part;
  const int end = begin + part < samples ? begin + part : samples, first = begin + static_cast<int>(threadIdx.x);
  const uint8_t* read = from.data + row * static_cast<int64_t>(from.stride);
  uint8_t* written = to.data + row * static_cast<int64_t>(to.stride);
  const int shift = picture.bits - 8 + picture.low_bits;
  if (shift) return copy_part<uint16_t>(read, written, first, end, shift);
  copy_part<uint8_t>(read, written, first, end, shift);
}

}  // namespace vidgraph
