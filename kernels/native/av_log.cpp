// Counts the packets that FFmpeg's RTP reader says are missing: it tells that to its log only.
#include <cstdarg>
#include <cstdint>
#include <cstring>

#include "binding.h"

namespace vidgraph {
namespace {

thread_local uint64_t missed = 0;

// In place of FFmpeg's own callback. It is called on any thread, by decoders too: it takes no lock and not Python's.
// Source of the text: FFmpeg, libavformat/rtpdec.c.
void count_missed(void*, int, const char* format, va_list arguments) {
  if (!format || std::strcmp(format, "RTP: missed %d packets\n") != 0) return;
  va_list copy;
  va_copy(copy, arguments);
  const int packets = va_arg(copy, int);
  va_end(copy);
  if (packets > 0) missed += static_cast<uint64_t>(packets);
}

using Callback = void (*)(void*, int, const char*, va_list);

}  // namespace

void bind_av_log(nb::module_& module) {
  module.def("count_missed_packets", [](uintptr_t set_callback) {
    reinterpret_cast<void (*)(Callback)>(set_callback)(count_missed);
  });
  module.def("missed_packets", [] { return missed; });
}

}  // namespace vidgraph
