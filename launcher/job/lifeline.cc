#include "launcher/job/lifeline.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

#include "core/error.h"
#include "launcher/host/host_name.h"
#include "launcher/job/rank_job.h"

namespace longship {

namespace {

constexpr std::chrono::milliseconds kReportEvery(50);
constexpr int kHeartbeatMilliseconds = 100;

}  // namespace

std::unique_ptr<Lifeline> Lifeline::connect(int rank) {
  const char* socket = std::getenv(kJobSocketVariable);
  const char* secret = std::getenv(kJobSecretVariable);
  if (socket == nullptr || secret == nullptr) {
    throw Error(ErrorKind::kUsage, "\"longship rank\" is only for ranks that longship itself starts",
                "Use longship run or longship eval, with or without mpirun.");
  }
  auto lifeline = std::make_unique<Lifeline>(connect_to(socket));
  lifeline->socket_.send(FrameKind::kHello, encode(Hello{secret, rank, getpid(), host_name()}));
  return lifeline;
}

void Lifeline::report(const LoadProgressReport& progress) {
  const auto now = std::chrono::steady_clock::now();
  if (now >= next_report_ || progress.bytes_done == progress.bytes_total) {
    socket_.send(FrameKind::kProgress, encode(progress));
    next_report_ = now + kReportEvery;
  }
}

Lifeline::~Lifeline() {
  stopped_ = true;
  shutdown(socket_.descriptor(), SHUT_RD);  // wakes the thread
  if (heart_.joinable()) {
    heart_.join();
  }
}

void Lifeline::beat() {
  heart_ = std::thread([this] { beat_until_stopped(); });
}

void Lifeline::beat_until_stopped() noexcept {
  while (!stopped_) {
    pollfd closed{.fd = socket_.descriptor(), .events = POLLRDHUP, .revents = 0};
    const bool lost = poll(&closed, 1, kHeartbeatMilliseconds) > 0 || !socket_.send(FrameKind::kHeartbeat, {});
    if (lost && !stopped_) {
      _exit(static_cast<int>(ErrorKind::kRank));
    }
  }
}

}  // namespace longship
