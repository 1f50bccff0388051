#include "../native/binding.h"
#include "rotate.h"

namespace vidgraph {
namespace {

void plane(const AnyArray& plane, int pixel_bytes, int degrees, WritableArray out) {
  const PictureView view = view_of(std::vector<AnyArray>{plane}, {});
  const auto places = reinterpret_cast<uintptr_t>(view.planes[0].data) | static_cast<uintptr_t>(view.planes[0].stride);
  const bool aligned = pixel_bytes == 3 || places % static_cast<uintptr_t>(pixel_bytes) == 0;
  nb::gil_scoped_release released;
  const auto turn = aligned ? KERNEL_CALL(rotate_plane) : KERNEL_CALL(rotate_misaligned);
  turn(view.planes[0], pixel_bytes, degrees, static_cast<uint8_t*>(out.data()));
}

void chroma_422(const AnyArray& plane, int degrees, int height, int width, WritableArray out) {
  const PictureView view = view_of(std::vector<AnyArray>{plane}, {});
  const int sample_bytes = static_cast<int>(plane.itemsize());
  nb::gil_scoped_release released;
  const auto memory = workspace(rotate_workspace(view.planes[0]));
  KERNEL_CALL(rotate_chroma_422)(view.planes[0], sample_bytes, degrees, height, width, memory.get(),
                                 static_cast<uint8_t*>(out.data()));
}

}  // namespace

void bind_rotate(nb::module_& module) {
  module.def("rotate_plane", &plane);
  module.def("rotate_chroma_422", &chroma_422);
}

}  // namespace vidgraph
