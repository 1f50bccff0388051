// What the bindings share: arguments as views, the choice of variant. Compiled once, for the baseline.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <climits>
#include <memory>
#include <new>
#include <stdexcept>
#include <vector>

#include "kernel.h"

namespace vidgraph {

namespace nb = nanobind;

enum class Isa { baseline, avx2, avx512 };

// The instruction set in use: what the processor has, masked by VIDGRAPH_ISA. Fixed when the module is loaded.
Isa instruction_set();

#if defined(VIDGRAPH_X86)
#define KERNEL_CALL(name)                                                \
  (::vidgraph::instruction_set() == ::vidgraph::Isa::avx512 ? ::vidgraph::avx512::name \
   : ::vidgraph::instruction_set() == ::vidgraph::Isa::avx2 ? ::vidgraph::avx2::name   \
                                                            : ::vidgraph::baseline::name)
#else
#define KERNEL_CALL(name) (::vidgraph::baseline::name)
#endif

using AnyArray = nb::ndarray<nb::ro, nb::device::cpu>;
using WritableArray = nb::ndarray<nb::device::cpu>;
template <typename T>
using In = nb::ndarray<const T, nb::c_contig, nb::device::cpu>;
template <typename T>
using Out = nb::ndarray<T, nb::c_contig, nb::device::cpu>;

// Name-free description of a PlaneLayout: (kind, bits, low_bits, shift_x, shift_y). The wrapper has checked the planes.
using LayoutArgs = std::array<int, 5>;

// A size as kernels count it. The wrappers refuse larger ones; one that does not ends here, not in another number.
inline int as_int(size_t size) {
  if (size > static_cast<size_t>(INT_MAX)) throw std::invalid_argument("an array has 2^31 numbers or more along an axis");
  return static_cast<int>(size);
}

template <typename Array>
PictureView view_of(const std::vector<Array>& planes, const LayoutArgs& layout) {
  PictureView view{{}, static_cast<Kind>(layout[0]), layout[1], layout[2], layout[3], layout[4]};
  for (size_t i = 0; i < planes.size() && i < kMaxPlanes; ++i) {
    const auto& plane = planes[i];
    const ptrdiff_t stride = plane.stride(0) * static_cast<ptrdiff_t>(plane.itemsize());
    view.planes[i] = {const_cast<uint8_t*>(static_cast<const uint8_t*>(plane.data())), stride,
                      as_int(plane.shape(0)), as_int(plane.shape(1))};
  }
  return view;
}

// Scratch memory, aligned for any element; throws std::bad_alloc.
inline std::unique_ptr<uint64_t[]> workspace(size_t bytes) {
  auto* words = new (std::nothrow) uint64_t[bytes / sizeof(uint64_t) + 1];
  if (!words) throw std::bad_alloc();  // ourselves: sanitizers end the process where `new` would
  return std::unique_ptr<uint64_t[]>(words);
}

}  // namespace vidgraph
