// Device code of CUDA as host code, for tests: a kernel's source is compiled as C++ behind this header and run on the
// CPU, block after block, each thread on a stack of its own.
//
// What a kernel may wrongly rely on is made to show: blocks run in a random order, and so do the threads of a block
// between two barriers, lanes of a warp included, sometimes all alike and sometimes a warp as far as it can; shared memory and new device memory hold noise; a barrier that some
// threads never reach, a shuffle from a lane that takes no part, or a lane that is waited for in vain is an error. Not
// shown: the memory model (fences, volatile), alignment of vectors, and what depends on time.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif
#if !defined(__x86_64__)
#include <ucontext.h>
#endif

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
};
using uint3 = dim3;

namespace emulator {

constexpr int kWarp = 32;
constexpr size_t kStackBytes = 64 << 10;

enum class State { ready, at_barrier, in_warp, done };

// What a thread waits for: a barrier of its block, or a step of its warp in which all lanes of `mask` show a value.
struct Wait {
  int kind = 0;
  unsigned mask = 0;
  uint64_t value = 0;
};

struct Thread {
  dim3 index;
  int number = 0;
  State state = State::ready;
  Wait wait;
  uint64_t seen[kWarp] = {};  // what the lanes of its last step showed
  bool any = false, all = false;
  int count = 0;              // of its last barrier
#if defined(__x86_64__)
  void* stack_pointer = nullptr;
#else
  ucontext_t context;
#endif
  char* stack = nullptr;
};

// The launch under way; one at a time.
struct Launch {
  dim3 grid, block, block_index;
  std::mt19937_64 random;
  std::vector<Thread> threads;
  Thread* current = nullptr;
  unsigned char* dynamic_shared = nullptr;
  void (*entry)(void*) = nullptr;
  void* argument = nullptr;
  bool plain = false;  // no thread ever waits: all run on the caller's stack
  std::string error;
#if defined(__x86_64__)
  void* scheduler = nullptr;
#else
  ucontext_t scheduler;
#endif
  const void* scheduler_stack = nullptr;
  size_t scheduler_bytes = 0;
};

inline Launch* launch = nullptr;

extern "C" {
extern unsigned char __start_emulated_shared[] __attribute__((weak, visibility("hidden")));
extern unsigned char __stop_emulated_shared[] __attribute__((weak, visibility("hidden")));
}

#if defined(__x86_64__)
// Keeps the registers that a call may not change on the stack, and goes on where `to` left off.
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
#endif

inline void to_thread(Thread& thread) {
  launch->current = &thread;
#if defined(__SANITIZE_ADDRESS__)
  void* fake = nullptr;
  __sanitizer_start_switch_fiber(&fake, thread.stack, kStackBytes);
#endif
#if defined(__x86_64__)
  emulator_switch(&launch->scheduler, thread.stack_pointer);
#else
  swapcontext(&launch->scheduler, &thread.context);
#endif
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
}

inline void to_scheduler(Thread& thread) {
#if defined(__SANITIZE_ADDRESS__)
  void* fake = nullptr;
  const bool ends = thread.state == State::done;
  __sanitizer_start_switch_fiber(ends ? nullptr : &fake, launch->scheduler_stack, launch->scheduler_bytes);
#endif
#if defined(__x86_64__)
  emulator_switch(&thread.stack_pointer, launch->scheduler);
#else
  swapcontext(&thread.context, &launch->scheduler);
#endif
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fake, &launch->scheduler_stack, &launch->scheduler_bytes);
#endif
}

inline void fail(const std::string& message) {
  if (launch->error.empty()) launch->error = message;
}

// Stops the thread for good after an error; its stack is thrown away.
[[noreturn]] inline void fail_here(const std::string& message) {
  fail(message);
  if (launch->plain) {
    std::fprintf(stderr, "%s\n", message.c_str());
    std::abort();
  }
  for (;;) to_scheduler(*launch->current);
}

inline void thread_main() {
  Thread& thread = *launch->current;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &launch->scheduler_stack, &launch->scheduler_bytes);
#endif
  launch->entry(launch->argument);
  thread.state = State::done;
  to_scheduler(thread);
}

// Stacks are kept from one launch to the next.
inline char* stack_of(int number) {
  static std::vector<std::unique_ptr<char[]>> stacks;
  while (static_cast<int>(stacks.size()) <= number) stacks.emplace_back(new char[kStackBytes]);
  return stacks[number].get();
}

inline void prepare(Thread& thread) {
  thread.stack = stack_of(thread.number);
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(thread.stack, kStackBytes);  // of the thread that had it before
#endif
#if defined(__x86_64__)
  auto top = reinterpret_cast<uintptr_t>(thread.stack + kStackBytes) & ~uintptr_t{15};
  auto* words = reinterpret_cast<void**>(top);
  *--words = nullptr;  // so that the stack is as after a call
  *--words = reinterpret_cast<void*>(&thread_main);
  for (int i = 0; i < 6; ++i) *--words = nullptr;
  thread.stack_pointer = words;
#else
  getcontext(&thread.context);
  thread.context.uc_stack.ss_sp = thread.stack;
  thread.context.uc_stack.ss_size = kStackBytes;
  thread.context.uc_link = nullptr;
  makecontext(&thread.context, &thread_main, 0);
#endif
}

inline void wait_for(State state, int kind, unsigned mask, uint64_t value) {
  if (launch->plain) fail_here("a kernel that was said never to wait does");
  Thread& thread = *launch->current;
  thread.wait = {kind, mask, value};
  thread.state = state;
  to_scheduler(thread);
}

// A step of the warp: what each lane of `mask` shows.
inline const uint64_t* exchange(int kind, unsigned mask, uint64_t value) {
  const int lane = launch->current->number % kWarp;
  if (!(mask >> lane & 1u)) fail_here("a lane takes part in a step of its warp whose mask leaves it out");
  wait_for(State::in_warp, kind, mask, value);
  return launch->current->seen;
}

inline std::string name_of(const Thread& thread) {
  const dim3 b = launch->block_index, t = thread.index;
  char text[128];
  std::snprintf(text, sizeof(text), "thread (%u, %u, %u) of block (%u, %u, %u)", t.x, t.y, t.z, b.x, b.y, b.z);
  return text;
}

// Lets the lanes of some warps go on whose step is complete. Returns whether there were any.
inline bool complete_steps(int begin, int end) {
  bool moved = false;
  auto& threads = launch->threads;
  const int count = static_cast<int>(threads.size());
  for (int first = begin; first < end; first += kWarp) {
    for (int i = first; i < std::min(first + kWarp, count); ++i) {
      if (threads[i].state != State::in_warp) continue;
      const Wait wait = threads[i].wait;
      bool complete = true;
      for (int lane = 0; lane < kWarp && complete; ++lane) {
        if (!(wait.mask >> lane & 1u)) continue;
        const int other = first + lane;
        complete = other < count && threads[other].state == State::in_warp && threads[other].wait.mask == wait.mask &&
                   threads[other].wait.kind == wait.kind;
      }
      if (!complete) continue;
      uint64_t shown[kWarp];
      for (int lane = 0; lane < kWarp; ++lane) {
        const bool takes_part = wait.mask >> lane & 1u;
        shown[lane] = takes_part ? threads[first + lane].wait.value : 0xcdcdcdcdcdcdcdcdull;
      }
      for (int lane = 0; lane < kWarp; ++lane) {
        if (!(wait.mask >> lane & 1u)) continue;
        std::copy(shown, shown + kWarp, threads[first + lane].seen);
        threads[first + lane].state = State::ready;
      }
      moved = true;
    }
  }
  return moved;
}

// Lets all threads of the block go on, if all wait at a barrier.
inline bool complete_barrier() {
  int waiting = 0, count = 0;
  for (const Thread& thread : launch->threads) {
    waiting += thread.state == State::at_barrier;
    count += thread.state == State::at_barrier && thread.wait.value != 0;
  }
  if (waiting != static_cast<int>(launch->threads.size())) return false;
  for (Thread& thread : launch->threads) {
    thread.count = count;
    thread.state = State::ready;
  }
  return true;
}

inline void explain_deadlock() {
  const Thread* waiting = nullptr;
  const Thread* ended = nullptr;
  for (const Thread& thread : launch->threads) {
    if (thread.state == State::done) {
      ended = &thread;
    } else if (!waiting) {
      waiting = &thread;
    }
  }
  const char* at = waiting->state == State::at_barrier ? " waits at a barrier" : " waits for lanes of its warp";
  const char* why = ended ? ", which others never reach: they have ended" : ", which others never reach";
  fail(name_of(*waiting) + at + why);
}

// Runs a thread until it waits or ends.
inline void resume(Thread& thread) {
  if (!launch->plain) return to_thread(thread);
  launch->current = &thread;
  launch->entry(launch->argument);
  thread.state = State::done;
}

// Lets threads go on: either all of the block, each as far as it comes alone, or warp after warp, each as far as it comes
// without the other warps. Returns whether there were any.
inline bool go_on(bool by_warp) {
  auto& threads = launch->threads;
  const int count = static_cast<int>(threads.size()), group = by_warp ? kWarp : count;
  std::vector<int> firsts, order;
  for (int first = 0; first < count; first += group) firsts.push_back(first);
  std::shuffle(firsts.begin(), firsts.end(), launch->random);
  bool moved = false;
  for (const int first : firsts) {
    const int end = std::min(first + group, count);
    do {
      order.clear();
      for (int i = first; i < end; ++i) {
        if (threads[i].state == State::ready) order.push_back(i);
      }
      std::shuffle(order.begin(), order.end(), launch->random);
      for (const int i : order) {
        resume(threads[i]);
        if (!launch->error.empty()) return true;
      }
      moved |= !order.empty();
    } while (complete_steps(first, end) && by_warp);
  }
  return moved;
}

inline void run_block() {
  for (Thread& thread : launch->threads) {
    thread.state = State::ready;
    if (!launch->plain) prepare(thread);
  }
  const auto is_done = [](const Thread& thread) { return thread.state == State::done; };
  while (!std::all_of(launch->threads.begin(), launch->threads.end(), is_done)) {
    const bool moved = go_on(launch->random() % 2 == 0);
    if (!launch->error.empty()) return;
    if (!moved && !complete_barrier()) return explain_deadlock();
  }
}

// Noise where a block finds shared memory. It lies between the arrays of a section, red zones included.
__attribute__((no_sanitize("address"))) inline void scrub(unsigned char* from, unsigned char* to, uint64_t noise) {
  for (volatile unsigned char* at = from; at < to; ++at) {
    *at = static_cast<unsigned char>(noise);
    noise = noise >> 8 | noise << 56;
  }
}

inline void run_grid(size_t shared_bytes) {
  const dim3 grid = launch->grid;
  std::vector<uint64_t> blocks(static_cast<uint64_t>(grid.x) * grid.y * grid.z);
  for (uint64_t i = 0; i < blocks.size(); ++i) blocks[i] = i;
  std::shuffle(blocks.begin(), blocks.end(), launch->random);
  for (const uint64_t block : blocks) {
    launch->block_index = {static_cast<unsigned>(block % grid.x), static_cast<unsigned>(block / grid.x % grid.y),
                           static_cast<unsigned>(block / grid.x / grid.y)};
    const std::unique_ptr<unsigned char[]> dynamic(new unsigned char[shared_bytes]);
    launch->dynamic_shared = dynamic.get();
    scrub(dynamic.get(), dynamic.get() + shared_bytes, launch->random());
    scrub(__start_emulated_shared, __stop_emulated_shared, launch->random());
    run_block();
    if (!launch->error.empty()) return;
  }
}

// One kernel as the library of a test finds it.
struct Kernel {
  const char* name;
  void (*entry)(void*);
  int arguments;
};

template <auto kFunction>
struct Entry;

template <class... Arguments, void (*kFunction)(Arguments...)>
struct Entry<kFunction> {
  static constexpr int kCount = sizeof...(Arguments);
  static void run(void* arguments) { spread(static_cast<void**>(arguments), std::make_index_sequence<kCount>()); }
  template <size_t... kPlaces>
  static void spread([[maybe_unused]] void** from, std::index_sequence<kPlaces...>) {
    kFunction(*static_cast<std::remove_reference_t<Arguments>*>(from[kPlaces])...);
  }
};

}  // namespace emulator
