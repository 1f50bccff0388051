#include "../native/binding.h"
#include "to_rgb.h"

namespace vidgraph {
namespace {

void run(const std::vector<AnyArray>& planes, LayoutArgs layout, std::array<double, 2> weights, bool full_range,
         Out<uint8_t> out) {
  const PictureView picture = view_of(planes, layout);
  const YuvToRgb colour = baseline::yuv_to_rgb_coefficients(weights[0], weights[1], picture.bits, full_range);
  nb::gil_scoped_release released;
  const auto memory = workspace(to_rgb_workspace(picture.planes[0].width));
  KERNEL_CALL(to_rgb)(picture, colour, memory.get(), out.data());
}

}  // namespace

void bind_to_rgb(nb::module_& module) { module.def("to_rgb", &run); }

}  // namespace vidgraph
