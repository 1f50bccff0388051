#include "../native/binding.h"
#include "ssd.h"

namespace vidgraph {
namespace {

void priors(int height, int width, const std::vector<int>& strides, const std::vector<std::vector<double>>& anchors,
            Out<float> out) {
  auto* next = reinterpret_cast<Prior*>(out.data());
  nb::gil_scoped_release released;
  for (size_t level = 0; level < strides.size(); ++level) {
    const int stride = strides[level], count = static_cast<int>(anchors[level].size());
    KERNEL_CALL(ssd_priors_level)(height, width, stride, anchors[level].data(), count, next);
    next += static_cast<int64_t>((height + stride - 1) / stride) * ((width + stride - 1) / stride) * count;
  }
}

void boxes(In<float> loc, In<float> priors, double variance_centre, double variance_size, Out<float> out) {
  nb::gil_scoped_release released;
  KERNEL_CALL(decode_boxes)(loc.data(), reinterpret_cast<const Prior*>(priors.data()),
                            static_cast<int64_t>(priors.shape(0)), static_cast<float>(variance_centre),
                            static_cast<float>(variance_size), reinterpret_cast<Corners*>(out.data()));
}

void points(In<float> raw, In<float> priors, double variance, Out<float> out) {
  nb::gil_scoped_release released;
  KERNEL_CALL(decode_points)(raw.data(), reinterpret_cast<const Prior*>(priors.data()),
                             static_cast<int64_t>(out.shape(0)), static_cast<int64_t>(out.shape(1)),
                             static_cast<float>(variance), reinterpret_cast<Point*>(out.data()));
}

}  // namespace

void bind_ssd(nb::module_& module) {
  module.def("ssd_priors", &priors);
  module.def("decode_boxes", &boxes);
  module.def("decode_points", &points);
}

}  // namespace vidgraph
