#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <list>
#include <utility>

#include "launcher/host/host_name.h"
#include "launcher/recovery/host_watch.h"

namespace longship {

namespace {

using Clock = HostLink::Clock;

constexpr std::chrono::seconds kConnectDeadline(10);
// Longer than the leader's by two heartbeats: it says what was lost where people look.
constexpr std::chrono::milliseconds kSilence(2500);

// A connection to one of the leader's addresses, which may be that of a stranger here.
struct Call {
  HostLink link;
  bool connected = false;
};

class OtherHostWatch final : public HostWatch {
 public:
  OtherHostWatch(const HostInvitation& invitation, int rank, int leader, HostBell bell)
      : rank_(rank),
        leader_process_(leader),
        question_(invitation.question),
        answer_(invitation.answer),
        bell_(std::move(bell)) {
    for (const HostAddress& address : invitation.addresses) {
      const int descriptor = invitation.port == 0 ? -1 : start_to_connect(address, invitation.port);
      if (descriptor >= 0) calls_.push_back({HostLink(descriptor)});
    }
  }

  void add_news(std::vector<pollfd>& news) const override {
    for (const Call& call : calls_) {
      const auto events = static_cast<short>(call.connected ? POLLIN : POLLOUT);
      news.push_back({.fd = call.link.descriptor(), .events = events, .revents = 0});
    }
    if (link_ && !over_) news.push_back({.fd = link_->descriptor(), .events = POLLIN, .revents = 0});
  }

  Clock::duration patience() const override {
    const Clock::duration usual = HostLink::kBeat;
    return link_ && !over_ ? std::min(usual, kSilence - link_->silence()) : usual;
  }

  std::optional<LostRank> look() override {
    if (!link_) {
      try_calls();
    }
    if (!link_ || over_) {
      return std::nullopt;
    }
    auto lost = look_at_leader();
    over_ = over_ || lost;
    if (over_) bell_.expect(false);
    return lost;
  }

  void tell(int rank, int process, Loss how) override {
    const HostWord word = how == Loss::kEnded ? HostWord::kLost : HostWord::kStopped;
    unsaid_.push_back({.word = word, .rank = rank, .process = process});
    send_unsaid();
  }

  void say(HostWord word) override {
    if (link_) link_->send({.word = word});
  }

 private:
  std::optional<LostRank> look_at_leader() {
    while (const auto message = link_->receive()) {
      if (message->word == HostWord::kEnding) {
        return LostRank{.name = leader_, .how = Loss::kEnded, .said = true};
      }
      if (message->word == HostWord::kBye) {
        over_ = true;
        return std::nullopt;
      }
      if (message->word == HostWord::kRing) bell_.ring();
    }
    if (link_->state() == HostLink::State::kEnded) {
      return LostRank{.name = leader_, .how = Loss::kEnded};
    }
    if (link_->state() == HostLink::State::kBroken || link_->beat() >= kSilence) {
      return LostRank{.name = leader_, .how = Loss::kSilent};
    }
    return std::nullopt;
  }

  void try_calls() {
    const bool late = Clock::now() > deadline_;
    for (auto call = calls_.begin(); call != calls_.end() && !link_;) {
      call = late || !go_on(*call) ? calls_.erase(call) : std::next(call);
    }
    if (link_) {
      calls_.clear();
      bell_.expect(true);
      send_unsaid();
    }
  }

  // False for one that leads nowhere.
  bool go_on(Call& call) {
    if (!call.connected) {
      return connect(call);
    }
    const auto message = call.link.receive();
    if (!message) {
      return call.link.state() == HostLink::State::kOpen;
    }
    if (message->word == HostWord::kWelcome && message->token == answer_) {
      leader_ = "rank 0 (process " + std::to_string(leader_process_) + " on " + message->host_text() + ")";
      link_ = std::move(call.link);
      return true;
    }
    return false;
  }

  bool connect(Call& call) const {
    pollfd ready{.fd = call.link.descriptor(), .events = POLLOUT, .revents = 0};
    if (poll(&ready, 1, 0) <= 0) {
      return true;
    }
    int error = 0;
    socklen_t size = sizeof(error);
    if (getsockopt(ready.fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) {
      return false;
    }
    HostMessage hello{.word = HostWord::kHello, .rank = rank_, .process = getpid(), .token = question_};
    hello.set_host(host_name());
    call.link.send(hello);
    call.connected = true;
    return true;
  }

  void send_unsaid() {
    if (!link_) return;
    for (const HostMessage& message : unsaid_) link_->send(message);
    unsaid_.clear();
  }

  int rank_;
  int leader_process_;
  JobToken question_;
  JobToken answer_;
  HostBell bell_;
  Clock::time_point deadline_ = Clock::now() + kConnectDeadline;
  std::list<Call> calls_;
  std::optional<HostLink> link_;
  std::string leader_;
  std::vector<HostMessage> unsaid_;
  bool over_ = false;
};

}  // namespace

std::unique_ptr<HostWatch> watch_leader(const HostInvitation& invitation, int rank, int leader, HostBell bell) {
  return std::make_unique<OtherHostWatch>(invitation, rank, leader, std::move(bell));
}

}  // namespace longship
