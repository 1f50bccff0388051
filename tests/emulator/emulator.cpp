// Runs the threads of a launch; see emulator.h. And what Python calls: kernels by name.
#include "emulator.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "fibres.h"

int emulator_fault = -1, emulator_fault_met = 0;

extern "C" {
extern unsigned char __start_emulated_shared[] __attribute__((weak, visibility("hidden")));
extern unsigned char __stop_emulated_shared[] __attribute__((weak, visibility("hidden")));
}

namespace emulator {

Here here;

namespace {

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
  uint64_t shown[kWarp] = {};  // by the lanes of a step, of which this is the first
  const uint64_t* seen = nullptr;
  int count = 0;  // of its last barrier
  Fibre fibre;
};

// Numbers that look random. Source: Steele, Lea and Flood, Fast splittable pseudorandom number generators (SplitMix).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t operator()() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15ull;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
  }
  template <class T>
  void shuffle(std::vector<T>& things) {
    for (size_t left = things.size(); left > 1; --left) {
      const uint64_t chosen = ((*this)() >> 32) * left >> 32;
      std::swap(things[left - 1], things[chosen]);
    }
  }

 private:
  uint64_t state_;
};

// The launch under way; one at a time.
struct Launch {
  explicit Launch(uint64_t seed) : random(seed) {}

  Random random;
  std::vector<Thread> threads;
  size_t ended = 0;  // of the threads of the block
  Thread* current = nullptr;
  void (*entry)(void**) = nullptr;
  void** arguments = nullptr;
  bool plain = false;  // no thread ever waits: all run on the caller's stack
  std::string error;
  std::vector<int> firsts, order;
  Resumer scheduler;
};

Launch* launch = nullptr;

void fail(const std::string& message) {
  if (launch->error.empty()) launch->error = message;
}

// Stops the thread for good after an error; its stack is thrown away.
[[noreturn]] void fail_here(const std::string& message) {
  fail(message);
  if (launch->plain) {
    std::fprintf(stderr, "%s\n", message.c_str());
    std::abort();
  }
  for (;;) yield(launch->current->fibre, launch->scheduler, false);
}

void thread_main() {
  Thread& thread = *launch->current;
  begin(launch->scheduler);
  launch->entry(launch->arguments);
  thread.state = State::done;
  ++launch->ended;
  yield(thread.fibre, launch->scheduler, true);
}

Thread& wait_for(State state, int kind, unsigned mask, uint64_t value) {
  if (launch->plain) fail_here("a kernel that was said never to wait does");
  Thread& thread = *launch->current;
  thread.wait = {kind, mask, value};
  thread.state = state;
  yield(thread.fibre, launch->scheduler, false);
  return thread;
}

std::string name_of(const Thread& thread) {
  const dim3 b = here.block, t = thread.index;
  char text[128];
  std::snprintf(text, sizeof(text), "thread (%u, %u, %u) of block (%u, %u, %u)", t.x, t.y, t.z, b.x, b.y, b.z);
  return text;
}

// Whether all lanes of the step that a lane waits for are there; `waiting` are those of its warp that wait for any.
bool is_complete(int first, const Wait& wait, unsigned waiting) {
  if (wait.mask & ~waiting) return false;
  for (unsigned left = wait.mask; left; left &= left - 1) {
    const Wait& other = launch->threads[first + __builtin_ctz(left)].wait;
    if (other.mask != wait.mask || other.kind != wait.kind) return false;
  }
  return true;
}

// Lets the lanes of a step go on. All have seen it before another one is complete.
void complete(int first, unsigned mask) {
  auto& threads = launch->threads;
  uint64_t* const shown = threads[first + __builtin_ctz(mask)].shown;
  for (int lane = 0; lane < kWarp; ++lane) {
    shown[lane] = mask >> lane & 1u ? threads[first + lane].wait.value : 0xcdcdcdcdcdcdcdcdull;
  }
  for (unsigned left = mask; left; left &= left - 1) {
    Thread& thread = threads[first + __builtin_ctz(left)];
    thread.seen = shown;
    thread.state = State::ready;
  }
}

// Lets the lanes of some warps go on whose step is complete. Returns whether there were any.
bool complete_steps(int begin, int end) {
  bool moved = false;
  auto& threads = launch->threads;
  for (int first = begin; first < end; first += kWarp) {
    unsigned waiting = 0;
    for (int i = first; i < std::min(first + kWarp, end); ++i) {
      waiting |= static_cast<unsigned>(threads[i].state == State::in_warp) << (i - first);
    }
    for (unsigned left = waiting; left;) {
      const Wait wait = threads[first + __builtin_ctz(left)].wait;
      if (is_complete(first, wait, waiting)) {
        complete(first, wait.mask);
        waiting &= ~wait.mask;
        left &= ~wait.mask;
        moved = true;
      } else {
        left &= left - 1;
      }
    }
  }
  return moved;
}

// Lets all threads of the block go on, if all wait at a barrier.
bool complete_barrier() {
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

void explain_deadlock() {
  const Thread* waiting = nullptr;
  for (const Thread& thread : launch->threads) {
    if (!waiting && thread.state != State::done) waiting = &thread;
  }
  const char* at = waiting->state == State::at_barrier ? " waits at a barrier" : " waits for lanes of its warp";
  const char* why = launch->ended ? ", which others never reach: they have ended" : ", which others never reach";
  fail(name_of(*waiting) + at + why);
}

// Runs a thread until it waits or ends.
void run(Thread& thread) {
  launch->current = &thread;
  here.thread = thread.index;
  here.lane = thread.number % kWarp;
  if (!launch->plain) {
    resume(launch->scheduler, thread.fibre);
    if (thread.state == State::done) ended(thread.number);
    return;
  }
  launch->entry(launch->arguments);
  thread.state = State::done;
  ++launch->ended;
}

// Lets threads go on: either all of the block, each as far as it comes alone, or warp after warp, each as far as it comes
// without the other warps. Returns whether there were any.
bool go_on(bool by_warp) {
  auto& threads = launch->threads;
  const int count = static_cast<int>(threads.size()), group = by_warp ? kWarp : count;
  launch->firsts.clear();
  for (int first = 0; first < count; first += group) launch->firsts.push_back(first);
  launch->random.shuffle(launch->firsts);
  bool moved = false;
  for (const int first : launch->firsts) {
    const int end = std::min(first + group, count);
    do {
      auto& order = launch->order;
      order.clear();
      for (int i = first; i < end; ++i) {
        if (threads[i].state == State::ready) order.push_back(i);
      }
      launch->random.shuffle(order);
      for (const int i : order) {
        run(threads[i]);
        if (!launch->error.empty()) return true;
      }
      moved |= !order.empty();
    } while (complete_steps(first, end) && by_warp);
  }
  return moved;
}

void run_block() {
  launch->ended = 0;
  for (Thread& thread : launch->threads) {
    thread.state = State::ready;
    if (!launch->plain) prepare(thread.fibre, thread.number, &thread_main);
  }
  while (launch->ended < launch->threads.size()) {
    const bool moved = go_on(launch->random() % 2 == 0);
    if (!launch->error.empty()) return;
    if (!moved && !complete_barrier()) return explain_deadlock();
  }
}

// Noise where a block finds shared memory. It lies between the arrays of a section, red zones included.
__attribute__((no_sanitize("address"))) void scrub(unsigned char* from, unsigned char* to, uint64_t noise) {
  using Word [[gnu::aligned(1), gnu::may_alias]] = uint64_t;
  for (; to - from >= 8; from += 8) *reinterpret_cast<volatile Word*>(from) = noise;
  for (volatile unsigned char* at = from; at < to; ++at) *at = static_cast<unsigned char>(noise >>= 8);
}

void run_grid(size_t shared_bytes) {
  const dim3 grid = here.grid;
  std::vector<uint64_t> blocks(static_cast<uint64_t>(grid.x) * grid.y * grid.z);
  for (uint64_t i = 0; i < blocks.size(); ++i) blocks[i] = i;
  launch->random.shuffle(blocks);
  for (const uint64_t block : blocks) {
    here.block = {static_cast<unsigned>(block % grid.x), static_cast<unsigned>(block / grid.x % grid.y),
                  static_cast<unsigned>(block / grid.x / grid.y)};
    const std::unique_ptr<unsigned char[]> dynamic(new unsigned char[shared_bytes]);
    here.dynamic_shared = dynamic.get();
    scrub(dynamic.get(), dynamic.get() + shared_bytes, launch->random());
    scrub(__start_emulated_shared, __stop_emulated_shared, launch->random());
    run_block();
    if (!launch->error.empty()) return;
  }
}

std::string run_kernel(const Kernel& kernel, const unsigned* grid, const unsigned* block, size_t shared, uint64_t seed,
                bool plain, void** arguments) {
  Launch own(seed);
  here.grid = {grid[0], grid[1], grid[2]};
  here.block_size = {block[0], block[1], block[2]};
  own.plain = plain;
  own.entry = kernel.entry;
  own.arguments = arguments;
  own.threads.resize(static_cast<size_t>(block[0]) * block[1] * block[2]);
  int number = 0;
  for (Thread& thread : own.threads) {
    const unsigned at = static_cast<unsigned>(number);
    thread.index = {at % block[0], at / block[0] % block[1], at / block[0] / block[1]};
    thread.number = number++;
  }
  launch = &own;
  run_grid(shared);
  launch = nullptr;
  return own.error;
}

}  // namespace

int at_barrier(bool yes) { return wait_for(State::at_barrier, 0, 0, yes).count; }

const uint64_t* exchange(int kind, unsigned mask, uint64_t value) {
  if (!(mask >> here.lane & 1u)) fail_here("a lane takes part in a step of its warp whose mask leaves it out");
  return wait_for(State::in_warp, kind, mask, value).seen;
}

void fail_shuffle() { fail_here(name_of(*launch->current) + " reads of a lane that takes no part in the shuffle"); }

}  // namespace emulator

// Returns 0, or 1 with a message.
extern "C" EXPORTED int emulator_launch(const char* name, const unsigned* grid, const unsigned* block, size_t shared,
                               uint64_t seed, int plain, int count, void** arguments, char* message,
                               size_t message_bytes) {
  std::string error = "there is no such kernel";
  for (const emulator::Kernel* kernel = emulator_kernels; kernel->name; ++kernel) {
    if (std::strcmp(kernel->name, name) != 0) continue;
    error = kernel->arguments == count
                ? emulator::run_kernel(*kernel, grid, block, shared, seed, plain != 0, arguments)
                : "it takes " + std::to_string(kernel->arguments) + " arguments";
  }
  std::snprintf(message, message_bytes, "%s", error.c_str());
  return error.empty() ? 0 : 1;
}
