#include "tests/cuda_emulator/block.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "tests/cuda_emulator/async_units.h"
#include "tests/cuda_emulator/emulator.h"
#include "tests/cuda_emulator/message.h"

constinit thread_local uint3 threadIdx = {};
constinit thread_local uint3 blockIdx = {};
constinit thread_local longship::cuda::Dim3 blockDim = {};
constinit thread_local longship::cuda::Dim3 gridDim = {};

namespace longship::cuda::emulator {

constinit thread_local Thread* current_thread = nullptr;

namespace {

/// The block whose threads run on this host thread.
thread_local Block* running_block = nullptr;

constexpr unsigned bit_of(int lane) {
  return 1U << lane;
}

const char* name_of(WarpOp op) {
  switch (op) {
    case WarpOp::kShuffle:
      return "a shuffle";
    case WarpOp::kVote:
      return "a vote";
    case WarpOp::kSync:
      return "__syncwarp";
    case WarpOp::kLoadMatrix:
      return "ldmatrix";
    case WarpOp::kMultiply:
      return "mma";
  }
  return "";
}

}  // namespace

void Block::begin(const Launch& launch, uint3 index) {
  launch_ = &launch;
  index_ = index;
  count_ = static_cast<int>(launch.block.x * launch.block.y * launch.block.z);
  started_ = ended_ = at_barrier_ = 0;
  first_epoch_ = ++epoch_;
  if (static_cast<int>(threads_.size()) < count_) {
    threads_.resize(count_);
    warps_.resize((count_ + 31) / 32);
  }
  for (int warp = 0; warp * 32 < count_; ++warp) {
    const int lanes = std::min(32, count_ - warp * 32);
    warps_[warp].present = lanes == 32 ? ~0U : bit_of(lanes) - 1;
    warps_[warp].waiting = warps_[warp].ended = 0;
  }
  shared_.resize(std::max(shared_.size(), launch.shared_bytes));
  pieces_taken_ = 0;
  async_units_.reset();
}

Block::Outcome Block::run(Fiber& host) {
  host_ = &host;
  running_block = this;
  blockIdx = index_;
  blockDim = launch_->block;
  gridDim = launch_->grid;
  for (Thread* thread : std::exchange(spinning_, {})) {
    release(*thread);
  }
  if (started_ < count_ || !ready_.empty()) {
    Fiber& next = next_fiber();
    active_ = &next;
    host.switch_to(next);
  }
  current_thread = nullptr;
  running_block = nullptr;
  if (ended_ == count_) {
    return Outcome::kDone;
  }
  if (spinning_.empty()) {
    report_deadlock();
  }
  return Outcome::kSpins;
}

void Block::work() {
  for (;;) {
    running_block->run_started_threads();
  }
}

void Block::run_started_threads() {
  while (started_ < count_) {
    const int number = started_++;
    start(number);
    launch_->body();
    end(threads_[number]);
  }
  Fiber& mine = *active_;
  pool_->give_back(mine);
  Fiber& next = next_fiber();
  active_ = &next;
  mine.switch_to(next);
}

void Block::start(int number) {
  Thread& thread = threads_[number];
  thread.block = this;
  thread.number = static_cast<uint16_t>(number);
  const auto position = static_cast<unsigned>(number);
  const Dim3& shape = launch_->block;
  thread.index = shape.y == 1 && shape.z == 1
                     ? uint3{position, 0, 0}
                     : uint3{position % shape.x, position / shape.x % shape.y, position / (shape.x * shape.y)};
  thread.waited = false;
  thread.copies.clear();
  thread.copy_groups.clear();
  activate(thread);
}

void Block::end(Thread& thread) {
  if (async_units_ != nullptr) {
    async_units_->check_end(thread);
  }
  thread.state = Thread::State::kEnded;
  ++ended_;
  if (launch_->overlaps && !thread.waited) {
    fail("the kernel may begin before those before it have ended, and the thread did not wait for them");
  }
  if (at_barrier_ != 0) {
    fail(format("the thread ends while %d threads of its block wait at the barrier at %s", at_barrier_,
                place(barrier_where_).c_str()));
  }
  Warp& warp = warps_[thread.number / 32];
  warp.ended |= bit_of(thread.lane());
  for (unsigned waiting = warp.waiting; waiting != 0; waiting &= waiting - 1) {
    const Thread& other = threads_[thread.number / 32 * 32 + std::countr_zero(waiting)];
    if ((other.mask & bit_of(thread.lane())) != 0) {
      fail(format("the thread ends while lane %d of its warp waits for it in %s at %s, whose mask 0x%08X names it",
                  other.lane(), name_of(other.op), place(other.where).c_str(), other.mask));
    }
  }
}

Fiber& Block::next_fiber() {
  if (!ready_.empty()) {
    Thread& thread = *ready_.front();
    ready_.pop_front();
    activate(thread);
    return *thread.fiber;
  }
  return started_ < count_ ? pool_->take() : *host_;
}

void Block::activate(Thread& thread) {
  thread.state = Thread::State::kRuns;
  current_thread = &thread;
  threadIdx = thread.index;
  refresh(thread);
}

/// Barriers and __syncwarp change what the accesses of a thread carry.
void Block::refresh(Thread& thread) {
  const WarpClock& clock = warps_[thread.number / 32].clock;
  thread.accessor = {first_epoch_,
                     epoch_,
                     clock.stamp(thread.lane()),
                     bit_of(thread.lane()),
                     thread.number,
                     static_cast<uint16_t>(thread.number / 32),
                     &clock};
}

void Block::suspend(Thread& thread, Thread::State state, const std::source_location& where) {
  thread.state = state;
  thread.where = where;
  thread.fiber = active_;
  Fiber& mine = *active_;
  Fiber& next = next_fiber();
  active_ = &next;
  mine.switch_to(next);
}

void Block::release(Thread& thread) {
  ready_.push_back(&thread);
}

void Block::barrier(const std::source_location& where) {
  Thread& me = *current_thread;
  if (ended_ != 0) {
    fail(format("the barrier at %s can never be passed: %d threads of the block have ended", place(where).c_str(),
                ended_));
  }
  if (at_barrier_ == 0) {
    barrier_where_ = where;
  } else if (!same_place(barrier_where_, where)) {
    fail(format("divergent barriers: the thread waits at %s, others of its block at %s", place(where).c_str(),
                place(barrier_where_).c_str()));
  }
  if (++at_barrier_ < count_) {
    suspend(me, Thread::State::kAtBarrier, where);
    return;
  }
  at_barrier_ = 0;
  ++epoch_;
  refresh(me);
  for (int number = 0; number < count_; ++number) {
    if (number != me.number) {
      release(threads_[number]);
    }
  }
}

void Block::meet(WarpOp op, unsigned mask, void* deposit, void (*resolve)(void* const*, unsigned),
                 const std::source_location& where) {
  Thread& me = *current_thread;
  Warp& warp = warps_[me.number / 32];
  Thread* lanes = &threads_[me.number / 32 * 32];
  const unsigned bit = bit_of(me.lane());
  if ((mask & bit) == 0) {
    fail(format("lane %d calls %s at %s with mask 0x%08X, which does not name it", me.lane(), name_of(op),
                place(where).c_str(), mask));
  }
  if ((mask & (~warp.present | warp.ended)) != 0) {
    fail(format("%s at %s with mask 0x%08X waits for lane %d, which %s", name_of(op), place(where).c_str(), mask,
                std::countr_zero(mask & (~warp.present | warp.ended)),
                (mask & ~warp.present) != 0 ? "the block does not have" : "has ended"));
  }
  me.op = op;
  me.mask = mask;
  me.deposit = deposit;
  warp.waiting |= bit;
  std::array<void*, 32> deposits;
  bool complete = (warp.waiting & mask) == mask;
  for (unsigned rest = complete ? mask : 0; rest != 0; rest &= rest - 1) {
    const Thread& other = lanes[std::countr_zero(rest)];
    complete = complete && other.mask == mask;
    deposits[other.lane()] = other.deposit;
    if (other.mask == mask && other.op != op) {
      fail(format("lanes %d and %d meet in different calls: %s at %s and %s at %s", me.lane(), other.lane(),
                  name_of(op), place(where).c_str(), name_of(other.op), place(other.where).c_str()));
    }
  }
  if (!complete) {
    suspend(me, Thread::State::kInWarp, where);
    return;
  }
  warp.waiting &= ~mask;
  if (op == WarpOp::kSync) {
    warp.clock.synchronise(mask);
    refresh(me);
  } else {
    resolve(deposits.data(), mask);
  }
  for (unsigned rest = mask & ~bit; rest != 0; rest &= rest - 1) {
    release(lanes[std::countr_zero(rest)]);
  }
}

void Block::spin() {
  Thread& me = *current_thread;
  spinning_.push_back(&me);
  suspend(me, Thread::State::kSpins, std::source_location());
}

void Block::poll(const std::source_location& where) {
  polling_.push_back(current_thread);
  suspend(*current_thread, Thread::State::kPolls, where);
}

void Block::wake() {
  for (Thread* thread : std::exchange(polling_, {})) {
    release(*thread);
  }
}

AsyncUnits& Block::async_units() {
  if (async_units_ == nullptr) {
    async_units_ = std::make_shared<AsyncUnits>();
  }
  return *async_units_;
}

Piece& Block::piece(int begin, int bytes, int element_bytes) {
  const int shift = std::min(2, std::countr_zero(static_cast<unsigned>(element_bytes)));
  for (std::size_t i = 0; i < pieces_taken_; ++i) {
    if (pieces_[i]->begin == begin) {
      if (pieces_[i]->bytes != bytes || pieces_[i]->shift != shift) {
        fail(format("shared memory at byte %d is taken as %d bytes and as %d bytes", begin, pieces_[i]->bytes, bytes));
      }
      return *pieces_[i];
    }
  }
  if (begin + bytes > static_cast<int>(launch_->shared_bytes)) {
    fail(format("takes %d bytes of shared memory, but the launch gives %zu", begin + bytes, launch_->shared_bytes));
  }
  if (pieces_taken_ == pieces_.size()) {
    pieces_.push_back(std::make_unique<Piece>());
  }
  Piece& piece = *pieces_[pieces_taken_++];
  piece.data = shared_.data() + begin;
  piece.begin = begin;
  piece.bytes = bytes;
  piece.shift = shift;
  const std::size_t cells = static_cast<std::size_t>(bytes + (1 << shift) - 1) >> shift;
  if (piece.cells.size() < cells) {
    piece.cells.resize(cells);
  }
  return piece;
}

void Block::report_deadlock() const {
  std::string text = "no thread of the block can go on";
  for (int number = 0; number < count_; ++number) {
    const Thread& thread = threads_[number];
    if (thread.state == Thread::State::kPolls) {
      text +=
          format(": thread %d waits in %s at %s", number, thread.where.function_name(), place(thread.where).c_str());
      break;
    }
    if (thread.state == Thread::State::kInWarp) {
      const Warp& warp = warps_[number / 32];
      unsigned missing = thread.mask & ~warp.waiting;
      for (unsigned rest = thread.mask & warp.waiting; missing == 0 && rest != 0; rest &= rest - 1) {
        const int lane = std::countr_zero(rest);
        missing = threads_[number / 32 * 32 + lane].mask != thread.mask ? bit_of(lane) : 0;
      }
      const Thread& other = threads_[number / 32 * 32 + std::countr_zero(missing)];
      text += format(": thread %d waits in %s at %s with mask 0x%08X for lane %d, which waits at %s", number,
                     name_of(thread.op), place(thread.where).c_str(), thread.mask, other.lane(),
                     place(other.where).c_str());
      if (other.state == Thread::State::kInWarp) {
        text += format(" with mask 0x%08X", other.mask);
      }
      break;
    }
  }
  fail(format("%s, of kernel %s", text.c_str(), launch_->name));
}

std::string describe_current_thread() {
  if (current_thread == nullptr) {
    return {};
  }
  const Block& block = *current_thread->block;
  const uint3 b = block.index();
  const uint3 t = current_thread->index;
  return format("kernel %s, block (%u, %u, %u), thread (%u, %u, %u)", block.launch().name, b.x, b.y, b.z, t.x, t.y,
                t.z);
}

}  // namespace longship::cuda::emulator
