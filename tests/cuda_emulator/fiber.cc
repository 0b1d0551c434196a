#include "tests/cuda_emulator/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <boost/context/detail/fcontext.hpp>

#include "tests/cuda_emulator/emulator.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#define LONGSHIP_FIBERS_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#define LONGSHIP_FIBERS_TSAN 1
#endif

namespace longship::cuda::emulator {

namespace context = boost::context::detail;

namespace {

// Frames with red zones are larger.
#if defined(LONGSHIP_FIBERS_ASAN)
constexpr std::size_t kStackBytes = 512 * 1024;
#else
constexpr std::size_t kStackBytes = 128 * 1024;
#endif

std::size_t page_bytes() {
  static const auto bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return bytes;
}

/// Says that the switch away from `from` is over.
void arrive([[maybe_unused]] void* fake_stack, [[maybe_unused]] const void** bottom,
            [[maybe_unused]] std::size_t* bytes) {
#if defined(LONGSHIP_FIBERS_ASAN)
  __sanitizer_finish_switch_fiber(fake_stack, bottom, bytes);
#endif
}

}  // namespace

/// What the fiber that is switched to learns.
struct Fiber::Entry {
  Fiber* from;
  Fiber* to;

  static void run(context::transfer_t transfer) {
    const Entry entry = *static_cast<const Entry*>(transfer.data);
    arrive(nullptr, &entry.from->bottom_, &entry.from->bytes_);
    entry.from->context_ = transfer.fctx;
    entry.to->body_();
  }
};

Fiber::Fiber() {
#if defined(LONGSHIP_FIBERS_TSAN)
  thread_ = __tsan_get_current_fiber();
#endif
}

Fiber::Fiber(std::size_t stack_bytes, void (*body)(), std::size_t number)
    : mapping_bytes_(stack_bytes + page_bytes()), body_(body) {
  void* mapping =
      ::mmap(nullptr, mapping_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) {
    fail("no memory for the stack of a thread");
  }
  mapping_ = static_cast<std::byte*>(mapping);
  ::mprotect(mapping_, page_bytes(), PROT_NONE);
  bottom_ = mapping_ + page_bytes();
  constexpr std::size_t kLine = 64;
  bytes_ = stack_bytes - number * 3 * kLine % page_bytes();
  context_ = context::make_fcontext(mapping_ + page_bytes() + bytes_, bytes_, &Entry::run);
#if defined(LONGSHIP_FIBERS_TSAN)
  thread_ = __tsan_create_fiber(0);
#endif
}

Fiber::~Fiber() {
  if (mapping_ != nullptr) {
#if defined(LONGSHIP_FIBERS_TSAN)
    __tsan_destroy_fiber(thread_);
#endif
    ::munmap(mapping_, mapping_bytes_);
  }
}

void Fiber::switch_to(Fiber& to) {
  Entry entry{this, &to};
#if defined(LONGSHIP_FIBERS_ASAN)
  __sanitizer_start_switch_fiber(&fake_stack_, to.bottom_, to.bytes_);
#endif
#if defined(LONGSHIP_FIBERS_TSAN)
  __tsan_switch_to_fiber(to.thread_, 0);
#endif
  const context::transfer_t transfer = context::jump_fcontext(to.context_, &entry);
  Fiber* from = static_cast<const Entry*>(transfer.data)->from;
  arrive(fake_stack_, &from->bottom_, &from->bytes_);
  from->context_ = transfer.fctx;
}

bool Fiber::guards(const void* address) const {
  return mapping_ != nullptr && address >= mapping_ && address < mapping_ + page_bytes();
}

Fiber& FiberPool::take() {
  if (idle_.empty()) {
    all_.push_back(std::make_unique<Fiber>(kStackBytes, body_, all_.size()));
    return *all_.back();
  }
  Fiber* fiber = idle_.back();
  idle_.pop_back();
  return *fiber;
}

void FiberPool::shrink(std::size_t most) {
  if (all_.size() > most) {
    all_.resize(most);
    idle_.clear();
    for (const auto& fiber : all_) {
      idle_.push_back(fiber.get());
    }
  }
}

bool FiberPool::guards(const void* address) const {
  for (const auto& fiber : all_) {
    if (fiber->guards(address)) {
      return true;
    }
  }
  return false;
}

}  // namespace longship::cuda::emulator
