// What Python calls: kernels by name, and memory of the device. KERNEL_SOURCES is generated for each library.
#include "cuda_names.h"
#include KERNEL_SOURCES

using namespace vidgraph;

namespace {

constexpr emulator::Kernel kKernels[] = {
#define KERNEL(name) {#name, &emulator::Entry<&name>::run, emulator::Entry<&name>::kCount},
#include KERNEL_LIST
};

std::string run(const emulator::Kernel& kernel, const unsigned* grid, const unsigned* block, size_t shared,
                uint64_t seed, bool plain, void** arguments) {
  emulator::Launch launch;
  launch.grid = {grid[0], grid[1], grid[2]};
  launch.block = {block[0], block[1], block[2]};
  launch.random.seed(seed);
  launch.plain = plain;
  launch.entry = kernel.entry;
  launch.argument = arguments;
  launch.threads.resize(static_cast<size_t>(block[0]) * block[1] * block[2]);
  int number = 0;
  for (emulator::Thread& thread : launch.threads) {
    const unsigned at = static_cast<unsigned>(number);
    thread.index = {at % block[0], at / block[0] % block[1], at / block[0] / block[1]};
    thread.number = number++;
  }
  emulator::launch = &launch;
  emulator::run_grid(shared);
  emulator::launch = nullptr;
  return launch.error;
}

}  // namespace

extern "C" {

// Returns 0, or 1 with a message.
int emulator_launch(const char* name, const unsigned* grid, const unsigned* block, size_t shared, uint64_t seed,
                    int plain, int count, void** arguments, char* message, size_t message_bytes) {
  std::string error = "there is no such kernel";
  for (const emulator::Kernel& kernel : kKernels) {
    if (std::strcmp(kernel.name, name) != 0) continue;
    error = kernel.arguments == count ? run(kernel, grid, block, shared, seed, plain != 0, arguments)
                                      : "it takes " + std::to_string(kernel.arguments) + " arguments";
  }
  std::snprintf(message, message_bytes, "%s", error.c_str());
  return error.empty() ? 0 : 1;
}

// New memory, full of noise; the sanitizer, where there is one, knows its ends.
void* emulator_allocate(size_t bytes) {
  auto* memory = static_cast<unsigned char*>(std::malloc(bytes ? bytes : 1));
  if (memory) std::memset(memory, 0xa5, bytes);
  return memory;
}

void emulator_free(void* memory) { std::free(memory); }
}
