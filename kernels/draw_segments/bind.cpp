#include "../native/binding.h"
#include "draw_segments.h"

namespace vidgraph {
namespace {

void segments(const std::vector<WritableArray>& planes, LayoutArgs layout, std::array<double, 2> weights,
              bool full_range, In<int32_t> ids, In<uint8_t> colors, int alpha) {
  const PictureView picture = view_of(planes, layout);
  const int32_t count = as_int(colors.shape(0));
  nb::gil_scoped_release released;
  if (!picture.planes[0].height || !picture.planes[0].width) return;
  std::vector<Tint> tints(static_cast<size_t>(count) + 1);
  const Colours rule{weights[0], weights[1], full_range};
  for (int32_t id = 1; id < count; ++id) {
    const Paint paint = baseline::paint_of(picture.kind, rule, colors.data() + 3 * static_cast<int64_t>(id));
    tints[id] = tint_of(paint, static_cast<uint8_t>(alpha));
  }
  const auto memory = workspace(draw_segments_workspace(picture.planes[0].width));
  KERNEL_CALL(draw_segments)(picture, SegmentTints{ids.data(), tints.data(), count}, memory.get());
}

}  // namespace

void bind_draw_segments(nb::module_& module) { module.def("draw_segments", &segments); }

}  // namespace vidgraph
