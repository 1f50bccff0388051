#include <cmath>

#include "../native/binding.h"
#include "draw.h"

namespace vidgraph {
namespace {

// The planes to draw on, and how a colour is written there.
struct Canvas {
  PictureView picture;
  Colours colours;

  Paint paint(const uint8_t* rgb) const { return baseline::paint_of(picture.kind, colours, rgb); }
  int width() const { return picture.planes[0].width; }
  int height() const { return picture.planes[0].height; }
};

Canvas canvas_of(const std::vector<WritableArray>& planes, const LayoutArgs& layout, std::array<double, 2> weights,
                 bool full_range) {
  return {view_of(planes, layout), {weights[0], weights[1], full_range}};
}

void boxes(const std::vector<WritableArray>& planes, LayoutArgs layout, std::array<double, 2> weights, bool full_range,
           In<float> boxes, In<uint8_t> colors, int thickness) {
  const Canvas canvas = canvas_of(planes, layout, weights, full_range);
  nb::gil_scoped_release released;
  const auto memory = workspace(draw_workspace(canvas.width()));
  for (size_t i = 0; i < boxes.shape(0); ++i) {
    Outline outline;
    if (!baseline::outline_of(boxes.data() + 4 * i, canvas.width(), canvas.height(), thickness, &outline)) continue;
    const Paint paint = canvas.paint(colors.data() + 3 * i);
    for (int bar = 0; bar < baseline::kBars; ++bar) {
      KERNEL_CALL(draw_rect)(canvas.picture, baseline::bar_of(outline, bar), paint, 255, memory.get());
    }
  }
}

void points(const std::vector<WritableArray>& planes, LayoutArgs layout, std::array<double, 2> weights, bool full_range,
            In<float> points, In<uint8_t> colors, double radius) {
  const Canvas canvas = canvas_of(planes, layout, weights, full_range);
  nb::gil_scoped_release released;
  const auto memory = workspace(draw_workspace(canvas.width()));
  for (size_t i = 0; i < points.shape(0); ++i) {
    const Disc disc{points.data()[2 * i], points.data()[2 * i + 1], static_cast<float>(radius)};
    if (!std::isfinite(disc.x) || !std::isfinite(disc.y)) continue;
    KERNEL_CALL(draw_disc)(canvas.picture, disc, canvas.paint(colors.data() + 3 * i), memory.get());
  }
}

void labels(const std::vector<WritableArray>& planes, LayoutArgs layout, std::array<double, 2> weights, bool full_range,
            const std::vector<In<uint8_t>>& masks, In<int32_t> origins, In<uint8_t> colors, In<uint8_t> text_colors,
            int alpha) {
  const Canvas canvas = canvas_of(planes, layout, weights, full_range);
  nb::gil_scoped_release released;
  const auto memory = workspace(draw_workspace(canvas.width()));
  for (size_t i = 0; i < masks.size(); ++i) {
    const int left = origins.data()[2 * i], top = origins.data()[2 * i + 1];
    const PixelRect rect{left, top, left + as_int(masks[i].shape(1)), top + as_int(masks[i].shape(0))};
    const Paint background = canvas.paint(colors.data() + 3 * i), text = canvas.paint(text_colors.data() + 3 * i);
    KERNEL_CALL(draw_rect)(canvas.picture, rect, background, static_cast<uint8_t>(alpha), memory.get());
    KERNEL_CALL(draw_alpha)(canvas.picture, rect, masks[i].data(), text, 255, memory.get());
  }
}

void masks(const std::vector<WritableArray>& planes, LayoutArgs layout, std::array<double, 2> weights, bool full_range,
           In<int32_t> boxes, In<uint8_t> bits, In<int64_t> offsets, In<uint8_t> colors, int alpha) {
  const Canvas canvas = canvas_of(planes, layout, weights, full_range);
  nb::gil_scoped_release released;
  std::vector<PixelRect> rects(boxes.shape(0));
  std::vector<Paint> paints(rects.size());
  for (size_t i = 0; i < rects.size(); ++i) {
    const int32_t* box = boxes.data() + 4 * i;
    rects[i] = {box[0], box[1], box[2], box[3]};
    paints[i] = canvas.paint(colors.data() + 3 * i);
  }
  const MaskList list{rects.data(), bits.data(), static_cast<int64_t>(bits.shape(0)), offsets.data(), paints.data(),
                      static_cast<int64_t>(rects.size()), static_cast<uint8_t>(alpha)};
  KERNEL_CALL(draw_masks)(canvas.picture, list);
}

}  // namespace

void bind_draw(nb::module_& module) {
  module.def("draw_boxes", &boxes);
  module.def("draw_points", &points);
  module.def("draw_labels", &labels);
  module.def("draw_masks", &masks);
}

}  // namespace vidgraph
