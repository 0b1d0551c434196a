#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>

#include "comm/mpi_port.h"
#include "comm/shared_memory.h"

namespace longship {

/// Wakes ranks of a host that wait for something, at the cost of one atomic addition where none sleeps: a futex in
/// memory that they share, which is gone with the last of them. A sleep ends in time though nobody rings. Any thread.
class Doorbell {
 public:
  /// All ranks of `host` together, which share a host. Null, on every rank, where they cannot share memory.
  static std::unique_ptr<Doorbell> make(MpiPort& host);

  /// Ends every sleep of this host. After that which they are to find was sent.
  void ring();
  /// To be read before the last look for what a ring announces.
  uint32_t rings() const { return state().rings.load(); }
  /// Sleeps until a ring that is not among `rings`, at most as long as given; may end early.
  void sleep(uint32_t rings, std::chrono::nanoseconds most);

  /// Whether everything for these ranks is announced by a ring, so that they may sleep long. At first it is not.
  bool announces() const { return state().announces.load(std::memory_order_relaxed); }
  void set_announces(bool yes) { state().announces = yes; }

 private:
  struct State {
    alignas(128) std::atomic<uint32_t> rings = 0;
    std::atomic<uint32_t> sleepers = 0;
    std::atomic<bool> announces = false;
  };

  explicit Doorbell(SharedMemory memory);

  // Memory of zeros holds a state: no rank need construct it first.
  State& state() const { return *reinterpret_cast<State*>(memory_.data()); }

  SharedMemory memory_;
};

}  // namespace longship
