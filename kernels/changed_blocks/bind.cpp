#include "../native/binding.h"
#include "changed_blocks.h"

namespace vidgraph {
namespace {

void run(In<uint16_t> current, In<uint16_t> reference, In<uint8_t> counted, Out<uint8_t> out) {
  const int rows = as_int(current.shape(0)), columns = as_int(current.shape(1));
  nb::gil_scoped_release released;
  const auto memory = workspace(changed_blocks_workspace(static_cast<size_t>(rows) * static_cast<size_t>(columns)));
  KERNEL_CALL(changed_blocks)(current.data(), reference.data(), counted.data(), rows, columns, memory.get(), out.data());
}

}  // namespace

void bind_changed_blocks(nb::module_& module) { module.def("changed_blocks", &run); }

}  // namespace vidgraph
