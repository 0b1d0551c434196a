#include "launcher/rank_watch.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <fstream>
#include <iterator>
#include <string_view>
#include <utility>

#include "core/stream.h"
#include "core/tensor.h"

namespace longship {

namespace {

// Numbers that an f32 holds exactly.
constexpr std::size_t kExact = std::size_t{1} << 24U;

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

std::size_t host_tag() {
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  return std::hash<std::string_view>()(name.data()) % kExact;
}

}  // namespace

RankWatch::~RankWatch() {
  {
    const std::lock_guard lock(mutex_);
    done_ = true;
  }
  destroyed_.notify_one();
  if (thread_.joinable()) {
    thread_.join();
  }
  for (const Peer& peer : peers_) {
    close(peer.descriptor);
  }
}

void RankWatch::meet(Transport& transport) {
  const std::unique_ptr<Communicator> world = transport.split(0, transport.rank());
  Tensor mine = Tensor::allocate(DType::kF32, {2});
  mine.data<float>()[0] = static_cast<float>(host_tag());
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

std::optional<std::string> RankWatch::lost() const {
  const std::lock_guard lock(mutex_);
  for (const Peer& peer : peers_) {
    pollfd ended{.fd = peer.descriptor, .events = POLLIN, .revents = 0};
    if (poll(&ended, 1, 0) > 0) {
      return name_of(peer.rank, peer.process);
    }
  }
  return std::nullopt;
}

void RankWatch::guard(std::function<void(const std::string& rank)> stuck) {
  thread_ = std::thread([this, stuck = std::move(stuck)] { look_until_destroyed(stuck); });
}

void RankWatch::look_until_destroyed(const std::function<void(const std::string& rank)>& stuck) {
  std::unique_lock lock(mutex_);
  while (!destroyed_.wait_for(lock, kLook, [this] { return done_; })) {
    if (const auto rank = stuck_rank()) {
      lock.unlock();
      stuck(*rank);
      return;
    }
  }
}

std::optional<std::string> RankWatch::stuck_rank() {
  for (Peer& peer : peers_) {
    peer.stopped = is_stopped(peer.process) ? peer.stopped + 1 : 0;
    if (peer.stopped == kStuckLooks) {
      return name_of(peer.rank, peer.process);
    }
  }
  return std::nullopt;
}

}  // namespace longship
