// Stacks that take turns on one thread of the processor, and are known to the address sanitizer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

namespace emulator {

constexpr size_t kStackBytes = 64 << 10;
constexpr size_t kUsedByEnded = 4 << 10;  // at the top of a stack, by what never returns there

#if defined(__x86_64__)
using Place = void*;  // the stack pointer, below which lie the registers that a call may not change
// Keeps those registers on the stack, and goes on where `to` left off.
extern "C" void emulator_switch(void** from, void* to) __attribute__((visibility("hidden")));
asm(R"(
.text
.hidden emulator_switch
.globl emulator_switch
.type emulator_switch, @function
emulator_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size emulator_switch, .-emulator_switch
)");
inline void go(Place& from, Place& to) { emulator_switch(&from, to); }
#else
using Place = ucontext_t;
inline void go(Place& from, Place& to) { swapcontext(&from, &to); }
#endif

struct Fibre {
  Place place{};
  char* stack = nullptr;
};

// The stack that fibres are resumed from.
struct Resumer {
  Place place{};
  const void* stack = nullptr;
  size_t bytes = 0;
};

// Runs a fibre until it yields.
inline void resume(Resumer& from, Fibre& fibre) {
#if defined(__SANITIZE_ADDRESS__)
  void* fake = nullptr;
  __sanitizer_start_switch_fiber(&fake, fibre.stack, kStackBytes);
#endif
  go(from.place, fibre.place);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
}

// What a fibre does first.
inline void begin([[maybe_unused]] Resumer& from) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &from.stack, &from.bytes);
#endif
}

// Returns when the fibre is resumed; one that has ended is not.
inline void yield(Fibre& fibre, Resumer& to, [[maybe_unused]] bool has_ended) {
#if defined(__SANITIZE_ADDRESS__)
  void* fake = nullptr;
  __sanitizer_start_switch_fiber(has_ended ? nullptr : &fake, to.stack, to.bytes);
#endif
  go(fibre.place, to.place);
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake, &to.stack, &to.bytes);
#endif
}

// Stacks are kept from one launch to the next.
struct Stack {
  std::unique_ptr<char[]> bytes{new char[kStackBytes]};
  size_t poisoned = kStackBytes;  // at most, at its top, by the fibre before
};

inline Stack& stack_of(int number) {
  static std::vector<Stack> stacks;
  while (static_cast<int>(stacks.size()) <= number) stacks.emplace_back();
  return stacks[number];
}

// A fibre that begins with `main` when it is resumed.
inline void prepare(Fibre& fibre, int number, void (*main)()) {
  Stack& stack = stack_of(number);
  fibre.stack = stack.bytes.get();
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(fibre.stack + kStackBytes - stack.poisoned, stack.poisoned);
#endif
  stack.poisoned = kStackBytes;
#if defined(__x86_64__)
  const size_t apart = number % 32 * 64;  // so that not all stacks want the same lines of the cache
  auto top = (reinterpret_cast<uintptr_t>(fibre.stack + kStackBytes) - apart) & ~uintptr_t{15};
  auto* words = reinterpret_cast<void**>(top);
  *--words = nullptr;  // so that the stack is as after a call
  *--words = reinterpret_cast<void*>(main);
  for (int i = 0; i < 6; ++i) *--words = nullptr;
  fibre.place = words;
#else
  getcontext(&fibre.place);
  fibre.place.uc_stack.ss_sp = fibre.stack;
  fibre.place.uc_stack.ss_size = kStackBytes;
  fibre.place.uc_link = nullptr;
  makecontext(&fibre.place, main, 0);
#endif
}

// Says that a fibre has come to its end, all its calls having returned.
inline void ended(int number) { stack_of(number).poisoned = kUsedByEnded; }

}  // namespace emulator
