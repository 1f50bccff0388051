#include <algorithm>
#include <cmath>

#include "../native/binding.h"
#include "draw.h"

namespace vidgraph {
namespace {

// The planes to draw on, and how a colour is written there.
struct Canvas {
  PictureView picture;
  double kr, kb;
  bool full_range;

  Paint paint(const uint8_t* rgb) const {
    const Rgb8 colour{rgb[0], rgb[1], rgb[2]};
    if (picture.kind == Kind::packed_rgb) return {{colour.red, colour.green, colour.blue}};
    return baseline::paint_yuv(colour, kr, kb, full_range);
  }
  int width() const { return picture.planes[0].width; }
  int height() const { return picture.planes[0].height; }
};

Canvas canvas_of(const std::vector<WritableArray>& planes, const LayoutArgs& layout, std::array<double, 2> weights,
                 bool full_range) {
  return {view_of(planes, layout), weights[0], weights[1], full_range};
}

// Continuous corners to whole pixels, far enough outside that the cut outline cannot be seen.
PixelRect pixel_rect(const float* box, const Canvas& canvas, int beyond) {
  const int right = canvas.width() + beyond, bottom = canvas.height() + beyond;
  return {baseline::nearest_pixel(box[0], -beyond, right), baseline::nearest_pixel(box[1], -beyond, bottom),
          baseline::nearest_pixel(box[2], -beyond, right), baseline::nearest_pixel(box[3], -beyond, bottom)};
}

void boxes(const std::vector<WritableArray>& planes, LayoutArgs layout, std::array<double, 2> weights, bool full_range,
           In<float> boxes, In<uint8_t> colors, int thickness) {
  const Canvas canvas = canvas_of(planes, layout, weights, full_range);
  nb::gil_scoped_release released;
  const auto memory = workspace(draw_workspace(canvas.width()));
  for (size_t i = 0; i < boxes.shape(0); ++i) {
    const float* box = boxes.data() + 4 * i;
    if (std::isnan(box[0] + box[1] + box[2] + box[3])) continue;
    const PixelRect r = pixel_rect(box, canvas, thickness + 1);
    if (r.x1 >= r.x2 || r.y1 >= r.y2) continue;
    const Paint paint = canvas.paint(colors.data() + 3 * i);
    const int t_y = std::min(thickness, (r.y2 - r.y1 + 1) / 2), t_x = std::min(thickness, (r.x2 - r.x1 + 1) / 2);
    const int top = r.y1 + t_y, bottom = std::max(r.y2 - t_y, top), left = r.x1 + t_x, right = std::max(r.x2 - t_x, left);
    const PixelRect bars[] = {{r.x1, r.y1, r.x2, top},
                              {r.x1, bottom, r.x2, r.y2},
                              {r.x1, top, left, bottom},
                              {right, top, r.x2, bottom}};
    for (const PixelRect& bar : bars) KERNEL_CALL(draw_rect)(canvas.picture, bar, paint, 255, memory.get());
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
