// Device code of CUDA as host code, for tests: a kernel's source is compiled as C++ behind this header and run on the
// CPU by emulator.cpp, block after block, each thread on a stack of its own. What a kernel's code needs of that is here.
//
// What a kernel may wrongly rely on is made to show: blocks run in a random order, and so do the threads of a block
// between two barriers, lanes of a warp included, sometimes all alike and sometimes a warp as far as it can; shared
// memory and new device memory hold noise; a barrier that some threads never reach, a shuffle from a lane that takes no
// part, or a lane that is waited for in vain is an error. Not shown: the memory model (fences, volatile), alignment of
// vectors, and what depends on time.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};
using uint3 = dim3;

// Which of the faults that a test has put into a source is chosen, or -1; and whether a thread came by it.
#define EXPORTED __attribute__((visibility("default")))
extern "C" {
extern EXPORTED int emulator_fault, emulator_fault_met;
}

namespace emulator {

constexpr int kWarp = 32;

// Of the thread that runs.
struct Here {
  dim3 thread, block, block_size, grid;
  int lane = 0;
  unsigned char* dynamic_shared = nullptr;
};
extern Here here;

// Waits for all threads of the block, and gives how many of them said yes.
int at_barrier(bool yes);

// A step of the warp: gives what each lane of `mask` shows. It holds until the thread waits again.
const uint64_t* exchange(int kind, unsigned mask, uint64_t value);

// Stops the thread for good: it reads of a lane that takes no part.
[[noreturn]] void fail_shuffle();

inline bool fault(int number) {
  if (number != emulator_fault) return false;
  emulator_fault_met = 1;
  return true;
}

// One kernel as emulator.cpp finds it; the last of a library has no name.
struct Kernel {
  const char* name;
  void (*entry)(void**);
  int arguments;
};

template <auto kFunction>
struct Entry;

template <class... Arguments, void (*kFunction)(Arguments...)>
struct Entry<kFunction> {
  static constexpr int kCount = sizeof...(Arguments);
  static void run(void** arguments) { spread(arguments, std::make_index_sequence<kCount>()); }
  template <size_t... kPlaces>
  static void spread([[maybe_unused]] void** from, std::index_sequence<kPlaces...>) {
    kFunction(*static_cast<Arguments*>(from[kPlaces])...);
  }
};

}  // namespace emulator

extern "C" const emulator::Kernel emulator_kernels[];
