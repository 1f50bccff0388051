#include "../native/binding.h"
#include "preprocess.h"

namespace vidgraph {
namespace {

using Triple = std::array<double, 3>;

Resample resample_of(std::array<int, 2> size, std::array<int, 4> content, std::array<double, 4> affine, Triple mean,
                     Triple std, Triple pad, bool bgr, bool single_positions, int element, bool interleaved) {
  Resample r{size[0],   size[1],   content[0], content[1], content[2],       content[3],                    affine[0],
             affine[1], affine[2], affine[3],  {},         {},               {},                            bgr,
             single_positions,     static_cast<Element>(element), interleaved};
  for (int channel = 0; channel < 3; ++channel) {
    r.mean[channel] = static_cast<float>(mean[channel]);
    r.inverse_std[channel] = static_cast<float>(1 / std[channel]);
    const double value = pad[bgr ? 2 - channel : channel];
    r.padding[channel] = baseline::normalise(static_cast<float>(value), r.mean[channel], r.inverse_std[channel]);
  }
  return r;
}

void run(const std::vector<AnyArray>& planes, LayoutArgs layout, std::array<double, 2> weights, bool full_range,
         std::array<int, 2> size, std::array<int, 4> content, std::array<double, 4> affine, Triple mean, Triple std,
         Triple pad, bool bgr, bool single_positions, int element, bool interleaved, const WritableArray& out) {
  const PictureView picture = view_of(planes, layout);
  const Resample resample = resample_of(size, content, affine, mean, std, pad, bgr, single_positions, element,
                                        interleaved);
  const YuvToRgb colour = baseline::yuv_to_rgb_coefficients(weights[0], weights[1], picture.bits, full_range);
  nb::gil_scoped_release released;
  const auto memory = workspace(preprocess_workspace(resample));
  KERNEL_CALL(preprocess)(picture, resample, colour, memory.get(), out.data());
}

}  // namespace

void bind_preprocess(nb::module_& module) { module.def("preprocess", &run); }

}  // namespace vidgraph
