#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <list>
#include <utility>

#include "core/error.h"
#include "launcher/host/host_name.h"
#include "launcher/output/log.h"
#include "launcher/recovery/host_watch.h"

namespace longship {

namespace {

using Clock = HostLink::Clock;

constexpr std::chrono::seconds kCallDeadline(10);
constexpr std::chrono::seconds kHelloDeadline(2);
// Eight heartbeats. TCP sends a lost packet again after 0.2, 0.6 and 1.4 s, so three in a row may be lost; and a thread
// that sleeps nearly always gets a core of a busy machine within a tenth of it.
constexpr std::chrono::seconds kSilence(2);
constexpr std::size_t kMostCallers = 256;

JobToken random_token() {
  JobToken token;
  if (getrandom(token.data(), token.size(), 0) != static_cast<ssize_t>(token.size())) {
    throw Error(ErrorKind::kRank, "the system gives no random numbers");
  }
  return token;
}

struct OtherHost {
  int first_rank = 0;
  std::optional<HostLink> link;
  int process = 0;
  std::string name;
  bool over = false;  ///< It has taken leave, or was said to be lost.

  LostRank lost(int rank, int of_process, Loss how) const {
    return {"rank " + std::to_string(rank) + " (process " + std::to_string(of_process) + " on " + name + ")", how};
  }
};

struct Caller {
  HostLink link;
  Clock::time_point deadline;
};

class LeaderHostWatch final : public HostWatch {
 public:
  LeaderHostWatch(const std::vector<int>& first_ranks, int listener, HostInvitation invitation)
      : listener_(listener), invitation_(std::move(invitation)) {
    for (const int rank : first_ranks) {
      hosts_.emplace_back().first_rank = rank;
    }
  }
  ~LeaderHostWatch() override { stop_listening(); }
  LeaderHostWatch(const LeaderHostWatch&) = delete;
  LeaderHostWatch& operator=(const LeaderHostWatch&) = delete;

  void add_news(std::vector<pollfd>& news) const override {
    const auto add = [&](int descriptor) { news.push_back({.fd = descriptor, .events = POLLIN, .revents = 0}); };
    if (listener_ >= 0) add(listener_);
    for (const Caller& caller : callers_) add(caller.link.descriptor());
    for (const OtherHost& host : hosts_) {
      if (host.link && !host.over) add(host.link->descriptor());
    }
  }

  Clock::duration patience() const override {
    Clock::duration least = HostLink::kBeat;
    for (const OtherHost& host : hosts_) {
      if (host.link && !host.over) least = std::min(least, kSilence - host.link->silence());
    }
    return least;
  }

  std::optional<LostRank> look() override {
    if (listening_) let_in();
    for (OtherHost& host : hosts_) {
      if (!host.link || host.over) continue;
      if (auto lost = look_at(host)) {
        host.over = true;
        return lost;
      }
    }
    return std::nullopt;
  }

  void tell(int /*rank*/, int /*process*/, Loss /*how*/) override {}

  void say(HostWord word) override {
    for (OtherHost& host : hosts_) {
      if (host.link) host.link->send({.word = word});
    }
  }

 private:
  std::optional<LostRank> look_at(OtherHost& host) {
    while (const auto message = host.link->receive()) {
      if (message->word == HostWord::kBye) {
        host.over = true;
        return std::nullopt;
      }
      if (message->word == HostWord::kLost || message->word == HostWord::kStopped) {
        const Loss how = message->word == HostWord::kLost ? Loss::kEnded : Loss::kStopped;
        return host.lost(message->rank, message->process, how);
      }
      if (message->word == HostWord::kEnding) {  // this rank stood still
        return LostRank{.name = host.name, .how = Loss::kEnded, .said = true};
      }
    }
    if (host.link->state() == HostLink::State::kEnded) {
      return host.lost(host.first_rank, host.process, Loss::kEnded);
    }
    if (host.link->state() == HostLink::State::kBroken || host.link->beat() >= kSilence) {
      return host.lost(host.first_rank, host.process, Loss::kSilent);
    }
    return std::nullopt;
  }

  void let_in() {
    const auto now = Clock::now();
    accept_callers(now);
    for (auto caller = callers_.begin(); caller != callers_.end();) {
      const bool done = greet(*caller) || now > caller->deadline;
      caller = done ? callers_.erase(caller) : std::next(caller);
    }
    const auto calls = std::ranges::count_if(hosts_, [](const OtherHost& host) { return !host.link; });
    if (calls != 0 && now > deadline_) warn();
    if (calls == 0 || now > deadline_) stop_listening();
  }

  void accept_callers(Clock::time_point now) {
    while (listener_ >= 0 && callers_.size() < kMostCallers) {
      const int descriptor = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (descriptor < 0) return;
      callers_.push_back({HostLink(descriptor), now + kHelloDeadline});
    }
  }

  // True if the caller needs no more attention: it is a host now, or a stranger.
  bool greet(Caller& caller) {
    const auto hello = caller.link.receive();
    if (!hello) {
      return caller.link.state() != HostLink::State::kOpen;
    }
    const auto host = std::ranges::find(hosts_, hello->rank, &OtherHost::first_rank);
    if (hello->word != HostWord::kHello || hello->token != invitation_.question || host == hosts_.end() || host->link) {
      return true;
    }
    HostMessage welcome{.word = HostWord::kWelcome, .process = getpid(), .token = invitation_.answer};
    welcome.set_host(host_name());
    caller.link.send(welcome);
    host->link = std::move(caller.link);
    host->process = hello->process;
    host->name = hello->host_text();
    return true;
  }

  void warn() const {
    std::string ranks;
    for (const OtherHost& host : hosts_) {
      if (!host.link) ranks += (ranks.empty() ? "" : ", ") + std::to_string(host.first_rank);
    }
    log_line(LogLevel::kWarning,
             "no connection to rank 0 (TCP port " + std::to_string(invitation_.port) + ") from the host of rank " +
                 ranks + ": only the launcher notices its loss",
             {});
  }

  void stop_listening() {
    if (listener_ >= 0) close(listener_);
    listener_ = -1;
    listening_ = false;
    callers_.clear();
  }

  int listener_;
  HostInvitation invitation_;
  bool listening_ = true;
  Clock::time_point deadline_ = Clock::now() + kCallDeadline;
  std::list<Caller> callers_;
  std::vector<OtherHost> hosts_;
};

}  // namespace

HostsOfLeader watch_other_hosts(const std::vector<int>& first_ranks) {
  const ListeningSocket socket = listen_on_all_interfaces();
  HostInvitation invitation{
      .port = socket.port, .question = random_token(), .answer = random_token(), .addresses = own_addresses()};
  return {invitation, std::make_unique<LeaderHostWatch>(first_ranks, socket.descriptor, invitation)};
}

}  // namespace longship
