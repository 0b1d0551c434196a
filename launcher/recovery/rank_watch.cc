#include "launcher/recovery/rank_watch.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <utility>

#include "core/error.h"
#include "core/stream.h"
#include "core/tensor.h"
#include "launcher/host/host_name.h"

namespace longship {

namespace {

constexpr std::chrono::milliseconds kLook(250);
constexpr int kStuckLooks = 4;
// The leader sends the invitation at once; MPI may be slow at first.
constexpr std::chrono::seconds kInvitation(300);

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

struct RankWatch::Facts {
  std::vector<float> hosts;  // by rank
  std::vector<int> processes;
};

RankWatch::Facts RankWatch::gather(Transport& transport) {
  const std::unique_ptr<Communicator> world = transport.split(0, transport.rank());
  Tensor mine = Tensor::allocate(DType::kF32, {2});
  mine.data<float>()[0] = static_cast<float>(host_number());
  mine.data<float>()[1] = static_cast<float>(getpid());
  Tensor all = Tensor::allocate(DType::kF32, {2 * int64_t{world->size()}});
  const std::vector<int64_t> counts(static_cast<std::size_t>(world->size()), 2);
  Stream stream;
  world->all_gather(mine, counts, all, stream);
  Facts facts;
  for (int rank = 0; rank < world->size(); ++rank) {
    facts.hosts.push_back(all.data<float>()[2 * rank]);
    facts.processes.push_back(static_cast<int>(all.data<float>()[2 * rank + 1]));
  }
  return facts;
}

void RankWatch::meet(Transport& transport) {
  const Facts facts = gather(transport);
  const std::lock_guard lock(mutex_);
  const float here = facts.hosts[static_cast<std::size_t>(transport.rank())];
  const auto first = static_cast<int>(std::ranges::find(facts.hosts, here) - facts.hosts.begin());
  watches_all_ = first == transport.rank();
  for (int rank = 0; rank < transport.size(); ++rank) {
    const int process = facts.processes[static_cast<std::size_t>(rank)];
    const bool other = rank != transport.rank() && facts.hosts[static_cast<std::size_t>(rank)] == here;
    const int descriptor =
        other && (watches_all_ || rank == first) ? static_cast<int>(syscall(SYS_pidfd_open, process, 0)) : -1;
    if (descriptor >= 0) {
      peers_.push_back({rank, process, descriptor});
    }
  }
  leads_ = transport.leads();
  const auto second = std::find(facts.hosts.begin() + first + 1, facts.hosts.end(), here) - facts.hosts.begin();
  speaks_for_leader_ = first == 0 && second == transport.rank();
  watch_hosts(transport, facts);
}

void RankWatch::watch_hosts(Transport& transport, const Facts& facts) {
  std::vector<int> first_ranks;  // of each host but the leader's
  for (auto host = facts.hosts.begin(); host != facts.hosts.end(); ++host) {
    if (std::find(facts.hosts.begin(), host, *host) == host && *host != facts.hosts.front()) {
      first_ranks.push_back(static_cast<int>(host - facts.hosts.begin()));
    }
  }
  if (first_ranks.empty()) {
    return;
  }
  if (transport.leads()) {
    HostsOfLeader others = watch_other_hosts(first_ranks);
    transport.control().publish(encode(others.invitation));
    hosts_ = std::move(others.watch);
    transport.control().wake_others_by([this] { say(HostWord::kRing); });
    return;
  }
  const std::optional<Bytes> invitation = transport.control().receive(std::chrono::steady_clock::now() + kInvitation);
  if (!invitation) {
    throw Error(ErrorKind::kRank, "rank 0 has not told how to reach it", "Check that every rank still runs.");
  }
  if (std::ranges::find(first_ranks, transport.rank()) != first_ranks.end()) {
    ControlChannel& control = transport.control();
    const HostBell bell{[&control] { control.wake_host(); }, [&control](bool yes) { control.expect_wakes(yes); }};
    hosts_ = watch_leader(decode_invitation(*invitation), transport.rank(), facts.processes.front(), bell);
  }
}

std::optional<LostRank> RankWatch::take(const Peer& peer, Loss how) {
  if (told_.exchange(true)) {
    return std::nullopt;
  }
  return LostRank{name_of(peer.rank, peer.process), how};
}

RankWatch::Peer* RankWatch::lost_peer() {
  for (Peer& peer : peers_) {
    pollfd ended{.fd = peer.descriptor, .events = POLLIN, .revents = 0};
    if (!peer.told && poll(&ended, 1, 0) > 0) {
      return &peer;
    }
  }
  return nullptr;
}

std::optional<LostRank> RankWatch::take_lost() {
  const std::lock_guard lock(mutex_);
  const Peer* peer = lost_peer();
  return peer == nullptr ? std::nullopt : take(*peer, Loss::kEnded);
}

RankWatch::Peer* RankWatch::stuck_peer() {
  for (Peer& peer : peers_) {
    peer.stopped = is_stopped(peer.process) ? peer.stopped + 1 : 0;
    if (peer.stopped == kStuckLooks) {
      return &peer;
    }
  }
  return nullptr;
}

std::optional<LostRank> RankWatch::news_of(Peer& peer, Loss how) {
  peer.told = peer.told || how == Loss::kEnded;
  if (leads_) {
    return take(peer, how);
  }
  if (hosts_) {
    hosts_->tell(peer.rank, peer.process, how);
    return std::nullopt;
  }
  return LostRank{.name = name_of(peer.rank, peer.process), .how = how, .said = how == Loss::kEnded};
}

std::optional<LostRank> RankWatch::look_here(bool for_stuck) {
  const std::lock_guard lock(mutex_);
  while (Peer* peer = lost_peer()) {
    if (auto lost = news_of(*peer, Loss::kEnded)) return lost;
  }
  if (watches_all_ && launcher_.has_ended() && !told_.exchange(true)) {
    return LostRank{.name = launcher_.name(), .how = Loss::kLauncher, .said = !leads_};
  }
  const bool tells = leads_ || hosts_ || speaks_for_leader_;
  Peer* peer = for_stuck && tells ? stuck_peer() : nullptr;
  return peer == nullptr ? std::nullopt : news_of(*peer, Loss::kStopped);
}

std::optional<LostRank> RankWatch::look_elsewhere() {
  const std::lock_guard lock(mutex_);
  auto lost = hosts_ ? hosts_->look() : std::nullopt;
  if (!lost || told_.exchange(true)) {
    return std::nullopt;
  }
  lost->said = lost->said || expects_end_;
  return lost;
}

// Rounded up, so that what falls due then is due.
std::chrono::milliseconds RankWatch::patience() const {
  return hosts_ ? std::min(kLook, std::chrono::ceil<std::chrono::milliseconds>(hosts_->patience())) : kLook;
}

std::optional<LostRank> RankWatch::wait(int end) {
  auto next_look = std::chrono::steady_clock::now() + kLook;
  for (;;) {
    std::vector<pollfd> news = {{.fd = end, .events = POLLIN, .revents = 0}};
    for (const Peer& peer : peers_) {
      news.push_back({.fd = peer.told ? -1 : peer.descriptor, .events = POLLIN, .revents = 0});
    }
    news.push_back({.fd = watches_all_ ? launcher_.descriptor() : -1, .events = POLLIN, .revents = 0});
    if (hosts_) hosts_->add_news(news);
    poll(news.data(), news.size(), static_cast<int>(std::max<int64_t>(patience().count(), 0)));
    if (news.front().revents != 0) {
      if (hosts_) hosts_->say(HostWord::kBye);
      return std::nullopt;
    }
    const auto now = std::chrono::steady_clock::now();
    const bool for_stuck = now >= next_look;
    if (for_stuck) next_look = now + kLook;
    if (auto lost = look_here(for_stuck)) return lost;
    if (auto lost = look_elsewhere()) return lost;
  }
}

void RankWatch::say(HostWord word) {
  const std::lock_guard lock(mutex_);
  if (hosts_) hosts_->say(word);
}

void RankWatch::say_ending() {
  say(HostWord::kEnding);
}

bool RankWatch::end_expected_within(std::chrono::milliseconds limit) const {
  constexpr std::chrono::milliseconds kPoll(20);
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!expects_end_ && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(kPoll);
  }
  return expects_end_;
}

void RankWatch::kill_watched() const {
  for (const Peer& peer : peers_) {
    syscall(SYS_pidfd_send_signal, peer.descriptor, SIGKILL, nullptr, 0);
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
