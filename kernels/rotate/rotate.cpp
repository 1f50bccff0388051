// CPU twin of `rotate`: in tiles, so that both the rows read and the rows written stay in the first cache.
#include "rotate.h"

namespace vidgraph::KERNEL_ISA {
namespace {

constexpr int kTile = 32;

struct Rgb {
  uint8_t value[3];
};

template <typename Pixel>
const Pixel& pixel_at(const Plane& plane, int y, int x) {
  return reinterpret_cast<const Pixel*>(plane.data + y * plane.stride)[x];
}

template <typename Pixel>
void rotate_half(const Plane& plane, Pixel* __restrict out) {
  for (int y = 0; y < plane.height; ++y) {
    const Pixel* row = &pixel_at<Pixel>(plane, plane.height - 1 - y, 0);
    for (int x = 0; x < plane.width; ++x) out[static_cast<size_t>(y) * plane.width + x] = row[plane.width - 1 - x];
  }
}

template <typename Pixel>
void rotate_quarter(const Plane& plane, int degrees, Pixel* __restrict out) {
  const int height = plane.width, width = plane.height;
  for (int top = 0; top < height; top += kTile) {
    const int bottom = top + kTile < height ? top + kTile : height;
    for (int left = 0; left < width; left += kTile) {
      const int right = left + kTile < width ? left + kTile : width;
      for (int y = top; y < bottom; ++y) {
        for (int x = left; x < right; ++x) {
          const Source source = rotated_from(y, x, plane.height, plane.width, degrees);
          out[static_cast<size_t>(y) * width + x] = pixel_at<Pixel>(plane, source.y, source.x);
        }
      }
    }
  }
}

template <typename Pixel>
void rotate_pixels(const Plane& plane, int degrees, uint8_t* out) {
  if (degrees == 180) {
    rotate_half(plane, reinterpret_cast<Pixel*>(out));
  } else {
    rotate_quarter(plane, degrees, reinterpret_cast<Pixel*>(out));
  }
}

int clamp_index(int index, int count) { return index < 0 ? 0 : index >= count ? count - 1 : index; }

// Twice the chroma at source luma column `column` (samples sit on even columns) of source row `row`.
template <typename Sample>
int twice_at(const Plane& plane, int row, int column) {
  const int low = clamp_index(column >> 1, plane.width), high = clamp_index((column + 1) >> 1, plane.width);
  return pixel_at<Sample>(plane, row, low) + pixel_at<Sample>(plane, row, high);
}

template <typename Sample>
void rotate_422(const Plane& plane, int degrees, int height, int width, Sample* __restrict out) {
  const int chroma_width = (width + 1) / 2;
  for (int y = 0; y < height; ++y) {
    for (int k = 0; k < chroma_width; ++k) {
      int sum = 4;  // half of the divisor: rounds
      for (int tap = -1; tap <= 1; ++tap) {
        const Source source = rotated_from(y, clamp_index(2 * k + tap, width), width, height, degrees);
        sum += (tap == 0 ? 2 : 1) * twice_at<Sample>(plane, source.y, source.x);
      }
      out[static_cast<size_t>(y) * chroma_width + k] = static_cast<Sample>(sum >> 3);
    }
  }
}

}  // namespace

void rotate_plane(const Plane& plane, int pixel_bytes, int degrees, uint8_t* out) {
  switch (pixel_bytes) {
    case 1: return rotate_pixels<uint8_t>(plane, degrees, out);
    case 2: return rotate_pixels<uint16_t>(plane, degrees, out);
    case 3: return rotate_pixels<Rgb>(plane, degrees, out);
    default: return rotate_pixels<uint32_t>(plane, degrees, out);
  }
}

void rotate_chroma_422(const Plane& plane, int sample_bytes, int degrees, int height, int width, uint8_t* out) {
  if (sample_bytes == 1) {
    rotate_422(plane, degrees, height, width, out);
  } else {
    rotate_422(plane, degrees, height, width, reinterpret_cast<uint16_t*>(out));
  }
}

}  // namespace vidgraph::KERNEL_ISA
