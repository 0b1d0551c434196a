#include <signal.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "tests/cuda_emulator/block.h"
#include "tests/cuda_emulator/device_memory.h"
#include "tests/cuda_emulator/emulator.h"
#include "tests/cuda_emulator/message.h"

namespace longship::cuda::emulator {

void fail(const std::string& what) {
  const std::string where = describe_current_thread();
  std::fprintf(stderr, "CUDA emulator: %s%s%s\n", where.c_str(), where.empty() ? "" : ": ", what.c_str());
  std::abort();
}

namespace {

struct sigaction old_segv;
struct sigaction old_bus;

void on_fault(int signal, siginfo_t* info, void*) {
  if (const auto text = DeviceMemory::instance().explain_fault(info->si_addr)) {
    fail(*text);
  }
  if (current_thread != nullptr) {
    if (running_fiber_guards(info->si_addr)) {
      fail("the stack of the thread is too small for what it calls");
    }
    fail(info->si_addr == nullptr && info->si_code == SI_KERNEL
             ? std::string("accesses memory that is not aligned for the width of the access, or at no address")
             : format("accesses %p, which is not device memory", info->si_addr));
  }
  ::sigaction(signal, signal == SIGSEGV ? &old_segv : &old_bus, nullptr);  // the access is repeated
}

bool install_handlers() {
  struct sigaction action = {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  ::sigaction(SIGSEGV, &action, &old_segv);
  ::sigaction(SIGBUS, &action, &old_bus);
  return true;
}

/// A stack for handlers: that of a kernel's thread may be what has run out.
class SignalStack {
 public:
  SignalStack() : bytes_(64 * 1024) {
    stack_t old = {};
    ::sigaltstack(nullptr, &old);
    if ((old.ss_flags & SS_DISABLE) != 0) {
      stack_t stack = {};
      stack.ss_sp = bytes_.data();
      stack.ss_size = bytes_.size();
      ::sigaltstack(&stack, nullptr);
      installed_ = true;
    }
  }
  ~SignalStack() {
    if (installed_) {
      stack_t none = {};
      none.ss_flags = SS_DISABLE;
      ::sigaltstack(&none, nullptr);
    }
  }
  SignalStack(const SignalStack&) = delete;
  SignalStack& operator=(const SignalStack&) = delete;

 private:
  std::vector<char> bytes_;
  bool installed_ = false;
};

}  // namespace

void watch_faults() {
  static const bool installed = install_handlers();
  thread_local SignalStack stack;
  static_cast<void>(installed);
  static_cast<void>(stack);
}

}  // namespace longship::cuda::emulator
