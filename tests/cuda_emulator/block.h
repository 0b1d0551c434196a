#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <source_location>
#include <vector>

#include "cuda/api.h"
#include "tests/cuda_emulator/fiber.h"
#include "tests/cuda_emulator/shadow.h"
#include "tests/cuda_emulator/vector_types.h"

namespace longship::cuda::emulator {

class Block;
class AsyncUnits;

/// What the lanes of a warp do together.
enum class WarpOp : uint8_t { kShuffle, kVote, kSync, kLoadMatrix, kMultiply };

/// A copy to shared memory that a thread has started and not yet waited for.
struct AsyncCopy {
  struct Piece* piece;
  int offset;
  const void* from;  ///< Null: zeros.
};

/// A thread of the running block.
struct Thread {
  enum class State : uint8_t { kRuns, kAtBarrier, kInWarp, kPolls, kSpins, kEnded };

  Block* block = nullptr;
  Fiber* fiber = nullptr;  ///< Where it goes on, if it waits.
  uint3 index = {};
  uint16_t number = 0;
  State state = State::kEnded;
  std::source_location where;  ///< Of the call that it waits in.
  WarpOp op = WarpOp::kSync;
  unsigned mask = 0;
  void* deposit = nullptr;
  Accessor accessor;    ///< Of the thread while it runs.
  bool waited = false;  ///< For the kernels before.
  std::vector<AsyncCopy> copies;
  std::vector<std::size_t> copy_groups;  ///< Copies in each committed group, oldest first.

  int lane() const { return number & 31; }
};

struct Warp {
  unsigned present = 0;
  unsigned waiting = 0;
  unsigned ended = 0;
  WarpClock clock;
};

/// An array that SharedMemory::take handed out.
struct Piece {
  std::byte* data = nullptr;
  int begin = 0;  ///< Bytes from the beginning of the block's shared memory.
  int bytes = 0;
  int shift = 0;  ///< Binary logarithm of the bytes of a cell.
  std::vector<ShadowCell> cells;
};

/// The launch that a block belongs to.
struct Launch {
  const char* name = "";
  Dim3 grid;
  Dim3 block;
  std::size_t shared_bytes = 0;
  bool overlaps = false;  ///< See LaunchShape.
  std::function<void()> body;
};

/// A block of a launch: its threads take turns on the host thread, each on a fiber of its own once it has to wait.
/// Reused for many blocks, one at a time.
class Block {
 public:
  enum class Outcome : uint8_t { kDone, kSpins };

  explicit Block(FiberPool& pool) : pool_(&pool) {}

  void begin(const Launch& launch, uint3 index);
  /// Runs until all threads have ended, or until those that are left spin or wait for such. Called by the host
  /// thread's own fiber.
  Outcome run(Fiber& host);

  /// What fibers of the pool run, again and again.
  static void work();

  // Called by the running thread.
  void barrier(const std::source_location& where);
  /// Waits until all lanes of `mask` have come with the same op; the last one calls `resolve` with what all deposited,
  /// by lane.
  void meet(WarpOp op, unsigned mask, void* deposit, void (*resolve)(void* const* deposits, unsigned mask),
            const std::source_location& where);
  void spin();
  /// Waits until another thread calls wake(), for what only threads of the block can bring about.
  void poll(const std::source_location& where);
  void wake();
  /// Of this block.
  AsyncUnits& async_units();
  Piece& piece(int begin, int bytes, int element_bytes);

  const Launch& launch() const { return *launch_; }
  uint3 index() const { return index_; }

 private:
  void run_started_threads();
  void start(int number);
  void end(Thread& thread);
  Fiber& next_fiber();
  void suspend(Thread& thread, Thread::State state, const std::source_location& where);
  void release(Thread& thread);
  void activate(Thread& thread);
  void refresh(Thread& thread);
  [[noreturn]] void report_deadlock() const;

  FiberPool* pool_;
  const Launch* launch_ = nullptr;
  uint3 index_ = {};
  int count_ = 0;  ///< Threads.
  int started_ = 0;
  int ended_ = 0;
  int at_barrier_ = 0;
  std::source_location barrier_where_;
  uint32_t first_epoch_ = 1;
  uint32_t epoch_ = 1;
  Fiber* host_ = nullptr;
  Fiber* active_ = nullptr;
  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  std::deque<Thread*> ready_;
  std::vector<Thread*> spinning_;
  std::vector<Thread*> polling_;
  std::shared_ptr<AsyncUnits> async_units_;  ///< Null until it is wanted.
  std::vector<std::byte> shared_;
  std::vector<std::unique_ptr<Piece>> pieces_;
  std::size_t pieces_taken_ = 0;
};

/// The thread of a kernel that runs on this host thread, or null.
extern constinit thread_local Thread* current_thread __attribute__((tls_model("initial-exec")));

/// "kernel NAME, block (x, y, z), thread (x, y, z)" of the running thread; empty where none runs.
std::string describe_current_thread();

/// Whether an address lies in the guard page of a stack of this host thread's kernels.
bool running_fiber_guards(const void* address);

/// Runs all blocks of a launch on this host thread.
void run_grid(const Launch& launch, uint64_t seed);

}  // namespace longship::cuda::emulator

/// CUDA's built-in variables.
extern constinit thread_local uint3 threadIdx __attribute__((tls_model("initial-exec")));
extern constinit thread_local uint3 blockIdx __attribute__((tls_model("initial-exec")));
extern constinit thread_local longship::cuda::Dim3 blockDim __attribute__((tls_model("initial-exec")));
extern constinit thread_local longship::cuda::Dim3 gridDim __attribute__((tls_model("initial-exec")));
