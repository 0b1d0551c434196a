#include <xmmintrin.h>

#include <algorithm>
#include <chrono>
#include <numeric>

#include "core/backoff.h"
#include "tests/cuda_emulator/block.h"
#include "tests/cuda_emulator/emulator.h"
#include "tests/cuda_emulator/message.h"
#include "tests/cuda_emulator/random.h"

namespace longship::cuda::emulator {

namespace {

/// How long all blocks of a launch may spin before somebody calls it a hang.
constexpr std::chrono::seconds kSpinDeadline{120};
constexpr std::chrono::milliseconds kAwake{2};
constexpr std::chrono::microseconds kLongestNap{200};
/// Stacks that a host thread keeps between launches. A process may have 65,530 mappings and each stack is two of them:
/// the ranks of a mesh in one process would keep too many from launches whose blocks all wait.
constexpr std::size_t kKeptStacks = 512;

/// What a host thread keeps to run kernels with.
struct Runner {
  Fiber host;
  FiberPool pool{&Block::work};
  std::vector<std::unique_ptr<Block>> idle;

  std::unique_ptr<Block> take() {
    if (idle.empty()) {
      return std::make_unique<Block>(pool);
    }
    std::unique_ptr<Block> block = std::move(idle.back());
    idle.pop_back();
    return block;
  }
};

Runner& runner_of_thread() {
  thread_local Runner runner;
  return runner;
}

/// Kernels run with denormal numbers, as nvcc compiles them; host threads may flush them.
class DefaultFloats {
 public:
  DefaultFloats() : saved_(_mm_getcsr()) { _mm_setcsr(0x1F80); }
  ~DefaultFloats() { _mm_setcsr(saved_); }
  DefaultFloats(const DefaultFloats&) = delete;
  DefaultFloats& operator=(const DefaultFloats&) = delete;

 private:
  unsigned saved_;
};

/// Blocks in random order: kernels may not rely on any.
std::vector<unsigned> shuffled(unsigned count, uint64_t seed) {
  std::vector<unsigned> order(count);
  std::iota(order.begin(), order.end(), 0U);
  Random random(seed);
  for (unsigned left = count; left > 1; --left) {
    std::swap(order[left - 1], order[random.below(left)]);
  }
  return order;
}

/// Takes turns among blocks that wait for each other or for another rank, which may need this core.
void finish_spinning(Runner& runner, std::vector<std::unique_ptr<Block>>& spinning, const Launch& launch) {
  const auto begin = std::chrono::steady_clock::now();
  Backoff backoff(kAwake, kLongestNap, 0);
  while (!spinning.empty()) {
    for (auto& block : spinning) {
      if (block->run(runner.host) == Block::Outcome::kDone) {
        runner.idle.push_back(std::move(block));
      }
    }
    std::erase(spinning, nullptr);
    if (std::chrono::steady_clock::now() - begin > kSpinDeadline) {
      fail(format("%zu blocks of kernel %s spin without end", spinning.size(), launch.name));
    }
    backoff.pause();
  }
}

}  // namespace

bool running_fiber_guards(const void* address) {
  return runner_of_thread().pool.guards(address);
}

void run_grid(const Launch& launch, uint64_t seed) {
  const DefaultFloats floats;
  Runner& runner = runner_of_thread();
  const Dim3& grid = launch.grid;
  std::vector<std::unique_ptr<Block>> spinning;
  for (const unsigned number : shuffled(grid.x * grid.y * grid.z, seed)) {
    std::unique_ptr<Block> block = runner.take();
    block->begin(launch, {number % grid.x, number / grid.x % grid.y, number / (grid.x * grid.y)});
    auto& kept = block->run(runner.host) == Block::Outcome::kDone ? runner.idle : spinning;
    kept.push_back(std::move(block));
  }
  finish_spinning(runner, spinning, launch);
  runner.pool.shrink(kKeptStacks);
}

}  // namespace longship::cuda::emulator
