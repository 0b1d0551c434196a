#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace longship::cuda::emulator {

/// A stack with its own place in the program (Boost.Context), known to the address and thread sanitizers. All switches
/// of a fiber happen on the host thread that made it.
class Fiber {
 public:
  /// The stack that the host thread runs on.
  Fiber();
  /// A new stack with a guard page below it. `body` is called at the first switch and never returns. Stacks of
  /// different `number` begin at different places of a page, or the same few sets of the caches would hold the ends of
  /// all.
  Fiber(std::size_t stack_bytes, void (*body)(), std::size_t number);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  /// Leaves `this`, which runs now, for `to`. Returns when another fiber switches back.
  void switch_to(Fiber& to);

  /// Whether an address lies in the guard page of this stack.
  bool guards(const void* address) const;

 private:
  struct Entry;

  void* context_ = nullptr;
  std::byte* mapping_ = nullptr;
  std::size_t mapping_bytes_ = 0;
  const void* bottom_ = nullptr;
  std::size_t bytes_ = 0;
  void (*body_)() = nullptr;
  void* fake_stack_ = nullptr;  ///< The address sanitizer's.
  void* thread_ = nullptr;      ///< The thread sanitizer's.
};

/// Fibers of one host thread that wait for work; grows as needed.
class FiberPool {
 public:
  explicit FiberPool(void (*body)()) : body_(body) {}

  Fiber& take();
  void give_back(Fiber& fiber) { idle_.push_back(&fiber); }
  /// Frees all but `most` stacks; none may be in use.
  void shrink(std::size_t most);
  bool guards(const void* address) const;

 private:
  void (*body_)();
  std::vector<std::unique_ptr<Fiber>> all_;
  std::vector<Fiber*> idle_;
};

}  // namespace longship::cuda::emulator
