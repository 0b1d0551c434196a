#include "launcher/job/interrupts.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cstdint>

namespace longship {

namespace {

sigset_t handled_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGHUP);
  sigaddset(&signals, SIGUSR1);
  return signals;
}

}  // namespace

Interrupts::Interrupts(std::function<bool(int signal)> consume, std::function<void()> before_exit)
    : consume_(std::move(consume)), before_exit_(std::move(before_exit)) {
  const sigset_t signals = handled_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signals_ = signalfd(-1, &signals, SFD_CLOEXEC);
  stop_ = eventfd(0, EFD_CLOEXEC);
  thread_ = std::thread([this] { wait(); });
}

Interrupts::~Interrupts() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(stop_, &one, sizeof(one));
  thread_.join();
  close(signals_);
  close(stop_);
  const sigset_t signals = handled_signals();
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

void Interrupts::wait() {
  for (;;) {
    std::array<pollfd, 2> news = {
        {{.fd = signals_, .events = POLLIN, .revents = 0}, {.fd = stop_, .events = POLLIN, .revents = 0}}};
    poll(news.data(), news.size(), -1);
    if (news[1].revents != 0) {
      return;
    }
    signalfd_siginfo info{};
    if (read(signals_, &info, sizeof(info)) != static_cast<ssize_t>(sizeof(info))) {
      continue;
    }
    if (!consume_(static_cast<int>(info.ssi_signo))) {
      before_exit_();
      _exit(128 + static_cast<int>(info.ssi_signo));
    }
  }
}

}  // namespace longship
