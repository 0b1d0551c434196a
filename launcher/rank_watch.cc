#include "launcher/rank_watch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <utility>

#include "core/stream.h"
#include "core/tensor.h"
#include "launcher/host_name.h"

namespace longship {

namespace {

constexpr std::chrono::milliseconds kLook(250);
constexpr int kStuckLooks = 4;

std::string name_of(int rank, int process) {
  return "rank " + std::to_string(rank) + " (process " + std::to_string(process) + ")";
}

// By a signal, or a debugger: proc(5), the field behind the name in parentheses.
bool is_stopped(int process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  const std::string stat{std::istreambuf_iterator<char>(file), {}};
  const auto name_end = stat.rfind(')');
  return name_end != std::string::npos && name_end + 2 < stat.size() && (stat[name_end + 2] | 0x20) == 't';
}

}  // namespace

RankWatch::~RankWatch() {
  for (const Peer& peer : peers_) {
    close(peer.descriptor);
  }
}

void RankWatch::meet(Transport& transport) {
  const std::unique_ptr<Communicator> world = transport.split(0, transport.rank());
  Tensor mine = Tensor::allocate(DType::kF32, {2});
  mine.data<float>()[0] = static_cast<float>(host_number());
  mine.data<float>()[1] = static_cast<float>(getpid());
  Tensor all = Tensor::allocate(DType::kF32, {2 * int64_t{world->size()}});
  const std::vector<int64_t> counts(static_cast<std::size_t>(world->size()), 2);
  Stream stream;
  world->all_gather(mine, counts, all, stream);
  const std::lock_guard lock(mutex_);
  for (int rank = 0; rank < world->size(); ++rank) {
    const float* facts = all.data<float>() + 2 * rank;
    const auto process = static_cast<int>(facts[1]);
    const bool other = rank != transport.rank() && facts[0] == mine.data<float>()[0];
    const int descriptor = other ? static_cast<int>(syscall(SYS_pidfd_open, process, 0)) : -1;
    if (descriptor >= 0) {
      peers_.push_back({rank, process, descriptor});
    }
  }
}

std::optional<LostRank> RankWatch::take(const Peer& peer, bool stopped) {
  if (told_.exchange(true)) {
    return std::nullopt;
  }
  return LostRank{name_of(peer.rank, peer.process), stopped};
}

std::optional<LostRank> RankWatch::take_lost() {
  const std::lock_guard lock(mutex_);
  for (const Peer& peer : peers_) {
    pollfd ended{.fd = peer.descriptor, .events = POLLIN, .revents = 0};
    if (poll(&ended, 1, 0) > 0) {
      return take(peer, false);
    }
  }
  return std::nullopt;
}

std::optional<LostRank> RankWatch::take_stuck() {
  for (Peer& peer : peers_) {
    peer.stopped = is_stopped(peer.process) ? peer.stopped + 1 : 0;
    if (peer.stopped == kStuckLooks) {
      return take(peer, true);
    }
  }
  return std::nullopt;
}

std::optional<LostRank> RankWatch::wait(int end) {
  std::vector<pollfd> news = {{.fd = end, .events = POLLIN, .revents = 0}};
  for (const Peer& peer : peers_) {
    news.push_back({.fd = peer.descriptor, .events = POLLIN, .revents = 0});
  }
  for (;;) {
    const int count = poll(news.data(), news.size(), static_cast<int>(kLook.count()));
    if (news.front().revents != 0) {
      return std::nullopt;
    }
    if (count > 0) {
      return take_lost();
    }
    if (auto stuck = take_stuck()) {
      return stuck;
    }
  }
}

RankGuard::RankGuard(RankWatch& watch, std::function<void(const LostRank&)> tell)
    : end_(eventfd(0, EFD_CLOEXEC)), thread_([this, &watch, tell = std::move(tell)] {
        if (const auto rank = watch.wait(end_)) tell(*rank);
      }) {}

RankGuard::~RankGuard() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(end_, &one, sizeof(one));
  thread_.join();
  close(end_);
}

}  // namespace longship
