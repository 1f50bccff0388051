#include <nanobind/stl/optional.h>

#include <algorithm>
#include <optional>

#include "../native/binding.h"
#include "assemble_masks.h"

namespace vidgraph {
namespace {

using baseline::is_empty;

// The table of one axis, and its memory.
class Axis {
 public:
  Axis(int cells, int pixels, Window window)
      : low_(pixels + kOverrun), high_(pixels + kOverrun), begins_(cells + 1, pixels) {
    const auto resize = baseline::resize_of(window, cells, pixels);
    for (int i = pixels; i-- > 0;) {
      const auto mixture = resize.at(i);
      low_[i] = mixture.low;
      high_[i] = mixture.high;
      begins_[mixture.cell] = i;
      first_ = mixture.cell;
      last_ = std::max(last_, mixture.cell);
    }
    for (int cell = cells; cell-- > 0;) begins_[cell] = std::min(begins_[cell], begins_[cell + 1]);
  }

  AxisTable table() const { return {low_.data(), high_.data(), begins_.data()}; }

  // Narrows first and end of a crop to the prototype pixels that the frame mixes.
  void narrow(int* first, int* end) const {
    *first = std::max(*first, first_);
    *end = std::min(*end, last_ + 2);
  }

 private:
  std::vector<float> low_, high_;
  std::vector<int32_t> begins_;
  int first_ = 0, last_ = 0;  // cells of the first and the last pixel
};

// What the frame covers, along x and along y.
struct Windows {
  Window x, y;
};

// What the crop can reach: cells from the one before it to its last.
Region reach_of(Region crop, AxisTable columns, AxisTable rows) {
  return {columns.begins[std::max(crop.x1 - 1, 0)], rows.begins[std::max(crop.y1 - 1, 0)], columns.begins[crop.x2],
          rows.begins[crop.y2]};
}

Region region_of(const int32_t* corners) { return {corners[0], corners[1], corners[2], corners[3]}; }

Window window_of(double first, double end, int pixels) {
  return {static_cast<float>(first * pixels), static_cast<float>((end - first) * pixels)};
}

// Packs the masks one after the other into `bits`; `boxes` [N, 4] and `offsets` [N + 1] say where they are. `limits`
// [N, 4]: the pixels of the frame that may be set; null: all.
void assemble(const Prototypes& prototypes, const Windows& windows, const float* coefficients, const float* relative,
              const int32_t* limits, int64_t count, int height, int width, int32_t* boxes, int64_t* offsets,
              std::vector<uint8_t>* bits) {
  const Axis x_axis(prototypes.width, width, windows.x), y_axis(prototypes.height, height, windows.y);
  const AxisTable columns = x_axis.table(), rows = y_axis.table();
  const auto memory = workspace(mask_workspace(prototypes, width));
  const int64_t stride = width / 64 + 2;
  const auto words = workspace(sizeof(uint64_t) * stride * height);
  offsets[0] = 0;
  for (int64_t i = 0; i < count; ++i) {
    Region crop = baseline::crop_of(relative + 4 * i, prototypes, windows.x, windows.y);
    x_axis.narrow(&crop.x1, &crop.x2);
    y_axis.narrow(&crop.y1, &crop.y2);
    MaskWords mask{words.get(), stride, {0, 0, 0, 0}, {0, 0, 0, 0}};
    if (!is_empty(crop)) mask.loose = reach_of(crop, columns, rows);
    Region limit = {0, 0, width, height};
    if (limits) limit = baseline::common_region(region_of(limits + 4 * i), mask.loose);
    if (!is_empty(mask.loose) && !is_empty(limit)) {
      KERNEL_CALL(assemble_mask)(prototypes, coefficients + i * prototypes.channels, crop, limits ? &limit : nullptr,
                                 columns, rows, memory.get(), &mask);
    }
    const Region tight = mask.tight;
    offsets[i + 1] = offsets[i] + static_cast<int64_t>(tight.x2 - tight.x1 + 7) / 8 * (tight.y2 - tight.y1);
    bits->resize(offsets[i + 1] + sizeof(uint64_t));
    KERNEL_CALL(pack_tight)(mask, bits->data() + offsets[i]);
    const int32_t box[] = {tight.x1, tight.y1, tight.x2, tight.y2};
    std::copy(box, box + 4, boxes + 4 * i);
  }
  bits->resize(offsets[count]);
}

Prototypes prototypes_of(const AnyArray& proto) {
  const int channels = as_int(proto.shape(2));
  return {static_cast<const float*>(proto.data()),
          as_int(proto.shape(0)),
          as_int(proto.shape(1)),
          channels,
          proto.stride(0),
          proto.stride(1),
          channels > 1 ? proto.stride(2) : 1};
}

Windows windows_of(const Prototypes& prototypes, const std::array<double, 4>& window) {
  return {window_of(window[0], window[2], prototypes.width), window_of(window[1], window[3], prototypes.height)};
}

void run_expected_iou(const AnyArray& proto, In<float> coefficients, In<float> boxes, Out<float> iou) {
  const Prototypes prototypes = prototypes_of(proto);
  const Windows whole = windows_of(prototypes, {0, 0, 1, 1});
  nb::gil_scoped_release released;
  const auto memory = workspace(mask_workspace(prototypes, 0));
  for (size_t i = 0; i < boxes.shape(0); ++i) {
    const Region crop = baseline::crop_of(boxes.data() + 4 * i, prototypes, whole.x, whole.y);
    iou.data()[i] = 0.f;
    if (is_empty(crop)) continue;
    KERNEL_CALL(expected_mask_iou)(prototypes, coefficients.data() + i * prototypes.channels, crop, memory.get(),
                                   iou.data() + i);
  }
}

nb::ndarray<nb::numpy, uint8_t> run(const AnyArray& proto, In<float> coefficients, In<float> boxes, std::array<int, 2> size,
                                    std::array<double, 4> window, std::optional<In<int32_t>> limits, Out<int32_t> tight,
                                    Out<int64_t> offsets) {
  const Prototypes prototypes = prototypes_of(proto);
  const Windows windows = windows_of(prototypes, window);
  auto bits = std::make_unique<std::vector<uint8_t>>();
  {
    nb::gil_scoped_release released;
    assemble(prototypes, windows, coefficients.data(), boxes.data(), limits ? limits->data() : nullptr,
             static_cast<int64_t>(boxes.shape(0)), size[0], size[1], tight.data(), offsets.data(), bits.get());
  }
  std::vector<uint8_t>* owned = bits.release();
  nb::capsule owner(owned, [](void* vector) noexcept { delete static_cast<std::vector<uint8_t>*>(vector); });
  return nb::ndarray<nb::numpy, uint8_t>(owned->data(), {owned->size()}, owner);
}

}  // namespace

void bind_assemble_masks(nb::module_& module) {
  module.def("assemble_masks", &run, nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg(), nb::arg().none(),
             nb::arg(), nb::arg());
  module.def("expected_mask_iou", &run_expected_iou);
}

}  // namespace vidgraph
