// What the bindings share: arguments as views, the choice of variant. Compiled once, for the baseline.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <memory>
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

template <typename Array>
PictureView view_of(const std::vector<Array>& planes, const LayoutArgs& layout) {
  PictureView view{{}, static_cast<Kind>(layout[0]), layout[1], layout[2], layout[3], layout[4]};
  for (size_t i = 0; i < planes.size() && i < kMaxPlanes; ++i) {
    const auto& plane = planes[i];
    const ptrdiff_t stride = plane.stride(0) * static_cast<ptrdiff_t>(plane.itemsize());
    view.planes[i] = {const_cast<uint8_t*>(static_cast<const uint8_t*>(plane.data())), stride,
                      static_cast<int>(plane.shape(0)), static_cast<int>(plane.shape(1))};
  }
  return view;
}

// Scratch memory, aligned for any element; throws std::bad_alloc.
inline std::unique_ptr<uint64_t[]> workspace(size_t bytes) {
  return std::unique_ptr<uint64_t[]>(new uint64_t[bytes / sizeof(uint64_t) + 1]);
}

}  // namespace vidgraph
