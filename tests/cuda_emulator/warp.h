#pragma once

#include <atomic>
#include <bit>
#include <cstring>
#include <source_location>
#include <type_traits>

#include "tests/cuda_emulator/block.h"

// Barriers, shuffles and votes, as in CUDA's C++ Programming Guide. The place of a call is part of what is checked.

namespace longship::cuda::emulator {

/// What a lane brings to a shuffle and takes from it.
struct ShuffleDeposit {
  uint64_t value;
  int source;
  uint64_t result;
};

/// What a lane brings to a vote; `result` is the ballot.
struct VoteDeposit {
  bool predicate;
  unsigned result;
};

void resolve_shuffle(void* const* deposits, unsigned mask);
void resolve_vote(void* const* deposits, unsigned mask);

/// `source` is a lane of the warp.
template <class T>
T shuffle(unsigned mask, T value, int source, const std::source_location& where) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8);
  ShuffleDeposit deposit{0, source, 0};
  std::memcpy(&deposit.value, &value, sizeof(T));
  current_thread->block->meet(WarpOp::kShuffle, mask, &deposit, resolve_shuffle, where);
  std::memcpy(&value, &deposit.result, sizeof(T));
  return value;
}

inline unsigned vote(unsigned mask, bool predicate, const std::source_location& where) {
  VoteDeposit deposit{predicate, 0};
  current_thread->block->meet(WarpOp::kVote, mask, &deposit, resolve_vote, where);
  return deposit.result;
}

}  // namespace longship::cuda::emulator

inline void __syncthreads(std::source_location where = std::source_location::current()) {
  longship::cuda::emulator::current_thread->block->barrier(where);
}

inline void __syncwarp(unsigned mask = 0xFFFFFFFFU, std::source_location where = std::source_location::current()) {
  using namespace longship::cuda::emulator;
  current_thread->block->meet(WarpOp::kSync, mask, nullptr, nullptr, where);
}

template <class T>
T __shfl_sync(unsigned mask, T value, int source, std::source_location where = std::source_location::current()) {
  return longship::cuda::emulator::shuffle(mask, value, source & 31, where);
}

template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, std::source_location where = std::source_location::current()) {
  const int lane = longship::cuda::emulator::current_thread->lane();
  const int source = lane - static_cast<int>(delta);
  return longship::cuda::emulator::shuffle(mask, value, source < 0 ? lane : source, where);
}

template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta,
                   std::source_location where = std::source_location::current()) {
  const int lane = longship::cuda::emulator::current_thread->lane();
  const int source = lane + static_cast<int>(delta);
  return longship::cuda::emulator::shuffle(mask, value, source > 31 ? lane : source, where);
}

template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, std::source_location where = std::source_location::current()) {
  return longship::cuda::emulator::shuffle(mask, value, (longship::cuda::emulator::current_thread->lane() ^ bits) & 31,
                                           where);
}

inline unsigned __ballot_sync(unsigned mask, int predicate,
                              std::source_location where = std::source_location::current()) {
  return longship::cuda::emulator::vote(mask, predicate != 0, where);
}

inline int __any_sync(unsigned mask, int predicate, std::source_location where = std::source_location::current()) {
  return longship::cuda::emulator::vote(mask, predicate != 0, where) != 0 ? 1 : 0;
}

inline int __all_sync(unsigned mask, int predicate, std::source_location where = std::source_location::current()) {
  return longship::cuda::emulator::vote(mask, predicate != 0, where) == mask ? 1 : 0;
}

inline void __threadfence() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
}
inline void __threadfence_system() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

namespace longship::cuda {

/// Called in loops that wait for another block or rank.
inline void spin_pause() {
  emulator::current_thread->block->spin();
}

}  // namespace longship::cuda
