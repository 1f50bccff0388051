// One source and the table of its kernels, which are written for each library.
#include "cuda_names.h"
#include "source.cu"

using namespace vidgraph;

extern const emulator::Kernel emulator_kernels[] = {
#define KERNEL(name) {#name, &emulator::Entry<&name>::run, emulator::Entry<&name>::kCount},
#include "kernels.h"
    {nullptr, nullptr, 0},
};
