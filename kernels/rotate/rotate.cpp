// CPU twin of `rotate`: in tiles, so that both the rows read and the rows written stay in the first cache.
#include "rotate.h"

namespace vidgraph::KERNEL_ISA {
namespace {

constexpr int kTile = 32;

struct Rgb {
  uint8_t value[3];
};

struct TwoBytes {
  uint8_t value[2];
};

struct FourBytes {
  uint8_t value[4];
};

template <typename Pixel>
const Pixel& pixel_at(const Plane& plane, int y, int x) {
  return reinterpret_cast<const Pixel*>(plane.data + y * plane.stride)[x];
}

template <typename Pixel>
void rotate_half(const Plane& plane, Pixel* __restrict out) {
  for (int y = 0; y < plane.height; ++y) {
    const Pixel* row = &pixel_at<Pixel>(plane, plane.height - 1 - y, 0);
#pragma GCC unroll 4  // a loop of few instructions is as fast as its place among the code happens to let it be
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

// Twice the turned chroma at luma row `y`: half-way between two rows at every other one.
template <typename Sample>
void double_row(const Plane& turned, int degrees, int height, int y, uint16_t* __restrict twice) {
  const int last = turned.height - 1;
  const Columns of = columns_between(y, degrees, height, last);  // before turning
  const Sample* a = &pixel_at<Sample>(turned, degrees == 90 ? of.low : last - of.low, 0);
  const Sample* b = &pixel_at<Sample>(turned, degrees == 90 ? of.high : last - of.high, 0);
  for (int x = 0; x < turned.width; ++x) twice[x] = static_cast<uint16_t>(a[x] + b[x]);
}

// Halves a row with weights 1, 2, 1 around every even column, held at the edges; `row[-1]` and one past it may be
// written.
template <typename Sample>
void halve_row(uint16_t* row, int width, Sample* __restrict out) {
  row[-1] = row[0];
  row[width] = row[width - 1];
  for (int k = 0; k < (width + 1) / 2; ++k) {
    out[k] = static_cast<Sample>(halved(row[2 * k - 1], row[2 * k], row[2 * k + 1]));
  }
}

template <typename Sample>
void rotate_422(const Plane& plane, int degrees, int height, int width, void* workspace, Sample* out) {
  const int chroma_width = (width + 1) / 2;
  auto* samples = static_cast<Sample*>(workspace);
  const size_t area = static_cast<size_t>(plane.width) * plane.height;
  rotate_quarter(plane, degrees, samples);
  const Plane turned{reinterpret_cast<uint8_t*>(samples), static_cast<ptrdiff_t>(sizeof(Sample)) * plane.height,
                     plane.width, plane.height};
  auto* row = reinterpret_cast<uint16_t*>(samples + area + area % 2) + 1;
  for (int y = 0; y < height; ++y) {
    double_row<Sample>(turned, degrees, height, y, row);
    halve_row(row, width, out + static_cast<size_t>(y) * chroma_width);
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

void rotate_misaligned(const Plane& plane, int pixel_bytes, int degrees, uint8_t* out) {
  if (pixel_bytes == 2) return rotate_pixels<TwoBytes>(plane, degrees, out);
  rotate_pixels<FourBytes>(plane, degrees, out);
}

void rotate_chroma_422(const Plane& plane, int sample_bytes, int degrees, int height, int width,
                       void* workspace, uint8_t* out) {
  if (sample_bytes == 1) {
    rotate_422(plane, degrees, height, width, workspace, out);
  } else {
    rotate_422(plane, degrees, height, width, workspace, reinterpret_cast<uint16_t*>(out));
  }
}

}  // namespace vidgraph::KERNEL_ISA
