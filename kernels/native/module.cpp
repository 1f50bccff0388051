// The module vidgraph.kernels._native: every kernel's binding, and the choice of instruction set.
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "binding.h"

namespace vidgraph {
namespace {

Isa available() {
#if defined(VIDGRAPH_X86)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512cd");
  return avx512 ? Isa::avx512 : avx2 ? Isa::avx2 : Isa::baseline;
#else
  return Isa::baseline;
#endif
}

const char* const kNames[] = {"baseline", "avx2", "avx512"};

Isa chosen = Isa::baseline;

void choose() {
  chosen = available();
  const char* wanted = std::getenv("VIDGRAPH_ISA");
  if (!wanted || !*wanted) return;
  for (int i = 0; i < 3; ++i) {
    if (std::string(wanted) != kNames[i]) continue;
    if (i < static_cast<int>(chosen)) chosen = static_cast<Isa>(i);
    return;
  }
  throw std::invalid_argument("VIDGRAPH_ISA must be baseline, avx2 or avx512, got '" + std::string(wanted) + "'");
}

}  // namespace

Isa instruction_set() { return chosen; }

#define KERNEL_BINDING(name) void bind_##name(nb::module_& module);
#include "kernel_list.h"
#undef KERNEL_BINDING
void bind_av_log(nb::module_& module);

}  // namespace vidgraph

// nanobind has a text of the C++ library's for this, which says nothing.
static void translate_no_memory(const std::exception_ptr& exception, void*) {
  try {
    std::rethrow_exception(exception);
  } catch (const std::bad_alloc&) {
    PyErr_SetString(PyExc_MemoryError, "vidgraph.kernels: there is not enough memory for the results or the work on them");
  }
}

NB_MODULE(_native, module) {
  vidgraph::choose();
  nanobind::register_exception_translator(translate_no_memory);
  module.def("instruction_set", [] { return vidgraph::kNames[static_cast<int>(vidgraph::instruction_set())]; });
#define KERNEL_BINDING(name) vidgraph::bind_##name(module);
#include "kernel_list.h"
#undef KERNEL_BINDING
  vidgraph::bind_av_log(module);
}
