#include "../native/binding.h"
#include "luma_means.h"

namespace vidgraph {
namespace {

void run(const std::vector<AnyArray>& planes, LayoutArgs layout, int block, Out<uint16_t> out) {
  const PictureView picture = view_of(planes, layout);
  nb::gil_scoped_release released;
  const auto memory = workspace(luma_means_workspace(picture.planes[0].width));
  KERNEL_CALL(luma_means)(picture, block, memory.get(), out.data());
}

}  // namespace

void bind_luma_means(nb::module_& module) { module.def("luma_means", &run); }

}  // namespace vidgraph
