#include "../native/binding.h"
#include "shade_surfaces.h"

namespace vidgraph {
namespace {

void shade(In<uint16_t> map, In<uint8_t> shadow, In<float> colours, In<float> inverse, In<float> amplitude,
           In<float> fade, In<int32_t> texture, In<uint8_t> shaded, In<int32_t> blur, In<uint8_t> textures, int noise,
           uint32_t seed, Out<uint8_t> out) {
  const Surfaces surfaces{colours.data(), inverse.data(), amplitude.data(), fade.data(),
                          texture.data(), shaded.data(),  blur.data(),      textures.data()};
  const int height = as_int(map.shape(0)), width = as_int(map.shape(1));
  nb::gil_scoped_release released;
  const auto memory = workspace(shade_workspace(width));
  KERNEL_CALL(shade_surfaces)(map.data(), shadow.data(), height, width, surfaces, noise, seed, memory.get(), out.data());
}

}  // namespace

void bind_shade_surfaces(nb::module_& module) { module.def("shade_surfaces", &shade); }

}  // namespace vidgraph
