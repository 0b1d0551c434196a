#include "launcher/host/process_handle.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>

namespace longship {

ProcessHandle::ProcessHandle(int pid) : descriptor_(static_cast<int>(syscall(SYS_pidfd_open, pid, 0))) {}

ProcessHandle::~ProcessHandle() {
  if (descriptor_ >= 0) {
    close(descriptor_);
  }
}

void ProcessHandle::signal(int number) const {
  if (descriptor_ >= 0) {
    syscall(SYS_pidfd_send_signal, descriptor_, number, nullptr, 0);
  }
}

bool ProcessHandle::wait_until_ended(std::chrono::steady_clock::time_point deadline) const {
  using std::chrono::milliseconds;
  const auto left = std::chrono::duration_cast<milliseconds>(deadline - std::chrono::steady_clock::now());
  pollfd ended{.fd = descriptor_, .events = POLLIN, .revents = 0};
  return descriptor_ < 0 || poll(&ended, 1, static_cast<int>(std::max(left, milliseconds(0)).count())) > 0;
}

}  // namespace longship
