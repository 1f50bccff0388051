// What every kernel shares: the device qualifier, the variant's namespace, and views of memory.
//
// A kernel is compiled once per instruction set (KERNEL_ISA names its namespace) and chosen at run time. Code in a
// variant may not call inline functions of the standard library: the linker would keep one copy of them, perhaps the
// AVX-512 one, for all variants. Everything inline therefore lives in namespace vidgraph::KERNEL_ISA.
#pragma once

#include <cstddef>
#include <cstdint>

#if defined(__CUDACC__)
#define KERNEL_HD __host__ __device__
#else
#define KERNEL_HD
#endif

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "samples and masks are read as little-endian words"
#endif

#ifndef KERNEL_ISA
#define KERNEL_ISA baseline
#endif

// Declares the entry point of a kernel, `void name(arguments)`, in each variant's namespace.
#if defined(VIDGRAPH_X86)
#define KERNEL_ENTRY(name, ...) \
  namespace baseline {          \
  void name(__VA_ARGS__);       \
  }                             \
  namespace avx2 {              \
  void name(__VA_ARGS__);       \
  }                             \
  namespace avx512 {            \
  void name(__VA_ARGS__);       \
  }
#else
#define KERNEL_ENTRY(name, ...) \
  namespace baseline {          \
  void name(__VA_ARGS__);       \
  }
#endif

namespace vidgraph {

enum class Kind : int { planar, semi_planar, gray, packed_rgb };  // order of KINDS in pixel_formats.py

constexpr int kMaxPlanes = 3;

// One plane; `stride` is in bytes and may be negative. `width` counts pixels, not samples.
struct Plane {
  uint8_t* data;
  ptrdiff_t stride;
  int height, width;
};

struct PictureView {
  Plane planes[kMaxPlanes];
  Kind kind;
  int bits;               // significant bits of a sample; above 8, samples are uint16
  int low_bits;           // unused low bits of a stored sample
  int shift_x, shift_y;   // log2 of the luma pixels per chroma sample
};

}  // namespace vidgraph
