#include <string>

#include "../native/binding.h"
#include "mask_codes.h"

namespace vidgraph {
namespace {

const std::string kNotLengths = "encode_runs: runs must not be negative and less than 2^63 in all, got ";

using WordMemory = std::unique_ptr<uint64_t[]>;

BorderedMask bordered(const uint8_t* bits, int width, int height, WordMemory* memory) {
  const int64_t stride = bordered_stride(width);
  *memory = workspace(sizeof(uint64_t) * stride * (height + 2));
  KERNEL_CALL(border_mask)(bits, width, height, memory->get());
  return {memory->get(), stride, width, height};
}

// The text of runs that end at `ends`; the value before the first is 0.
template <typename Ends>
std::string text_of(const Ends& ends, int64_t total) {
  std::string text;
  int64_t before[2] = {0, 0}, last = 0;  // the last run, and the one before it
  size_t written = 0;
  const auto write = [&](int64_t end) {
    const int64_t run = end - last;
    char group[16];
    text.append(group, baseline::write_number(written < 3 ? run : run - before[1], group));
    before[1] = before[0];
    before[0] = run;
    last = end;
    ++written;
  };
  for (const int64_t end : ends) write(end);
  write(total);
  return text;
}

// A run that ends at the foot of a column and goes on at the top of the next is one run; a change at the very end of
// the frame is none.
void join_columns(int64_t total, std::vector<int64_t>* changes) {
  size_t kept = 0;
  for (size_t i = 0; i < changes->size(); ++i) {
    if (i + 1 < changes->size() && (*changes)[i] == (*changes)[i + 1]) {
      ++i;
    } else if ((*changes)[i] < total) {
      (*changes)[kept++] = (*changes)[i];
    }
  }
  changes->resize(kept);
}

// Counts of COCO's compressed RLE of a mask whose box begins at `origin` (x, y) of a frame of `size` (height, width).
std::string rle_counts(In<uint8_t> bits, std::array<int, 2> origin, int width, int height,
                       std::array<int64_t, 2> size) {
  const int64_t total = size[0] * size[1];
  nb::gil_scoped_release released;
  std::vector<int64_t> changes;
  if (width > 0 && height > 0) {
    WordMemory memory;
    const BorderedMask mask = bordered(bits.data(), width, height, &memory);
    std::vector<int32_t> counts(width);
    KERNEL_CALL(count_changes)(mask, counts.data());
    std::vector<int64_t> next(width);
    int64_t all = 0;
    for (int x = 0; x < width; ++x) {
      next[x] = all;
      all += counts[x];
    }
    changes.resize(all);
    KERNEL_CALL(list_changes)(mask, origin[0] * size[0] + origin[1], size[0], next.data(), changes.data());
    join_columns(total, &changes);
  }
  return text_of(changes, total);
}

std::string encode(In<int64_t> runs) {
  std::vector<int64_t> ends;
  int64_t end = 0;
  for (size_t i = 0; i < runs.shape(0); ++i) {
    const int64_t run = runs.data()[i];
    if (run < 0 || run > INT64_MAX - end) throw std::invalid_argument(kNotLengths + std::to_string(run));
    ends.push_back(end += run);
  }
  if (ends.empty()) return {};
  ends.pop_back();
  return text_of(ends, end);
}

nb::list outlines(In<uint8_t> bits, std::array<int, 2> origin, int width, int height) {
  std::vector<PixelCorner> corners;
  std::vector<int64_t> ends;
  if (width > 0 && height > 0) {
    nb::gil_scoped_release released;
    WordMemory memory;
    const BorderedMask mask = bordered(bits.data(), width, height, &memory);
    int64_t count = 0, found = 0;
    KERNEL_CALL(count_corners)(mask, &count);
    std::vector<uint64_t> visited(mask.stride * (height + 2));
    corners.resize(count);
    ends.resize(count / 4);
    KERNEL_CALL(trace_exteriors)(mask, visited.data(), corners.data(), ends.data(), &found);
    ends.resize(found);
  }
  nb::list all;
  int64_t at = 0;
  for (const int64_t end : ends) {
    nb::list outline;
    for (; at < end; ++at) {
      outline.append(static_cast<double>(corners[at].x + origin[0]));
      outline.append(static_cast<double>(corners[at].y + origin[1]));
    }
    all.append(outline);
  }
  return all;
}

}  // namespace

void bind_mask_codes(nb::module_& module) {
  module.def("rle_counts", &rle_counts);
  module.def("encode_runs", &encode);
  module.def("mask_outlines", &outlines);
}

}  // namespace vidgraph
