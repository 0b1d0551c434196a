#pragma once

#include <poll.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "core/bytes.h"
#include "launcher/host/host_address.h"
#include "launcher/recovery/host_link.h"
#include "launcher/recovery/lost_rank.h"

namespace longship {

/// One host's way to hear of the ranks of others: a TCP connection between the leader and the first rank of each other
/// host, over which heartbeats go both ways. MPI says nothing of a host that the network has lost, and launchers say
/// late or never which rank was lost. One thread; nothing waits.
class HostWatch {
 public:
  virtual ~HostWatch() = default;

  /// Adds what look() should be called for, beside several times a second.
  virtual void add_news(std::vector<pollfd>& news) const = 0;
  /// Until look() should be called although there is no news.
  virtual HostLink::Clock::duration patience() const = 0;
  /// A rank of another host that was lost; once.
  virtual std::optional<LostRank> look() = 0;
  /// Tells the leader of the loss of a rank of this host, as soon as it can.
  virtual void tell(int rank, int process, Loss how) = 0;
  /// Says it to the other hosts that are connected: kBye, kEnding or kRing.
  virtual void say(HostWord word) = 0;
};

/// What the leader lets the others know, over MPI.
struct HostInvitation {
  uint16_t port = 0;    ///< 0: the leader cannot listen.
  JobToken question{};  ///< Which the caller shows.
  JobToken answer{};    ///< By which it knows the leader.
  std::vector<HostAddress> addresses;
};
Bytes encode(const HostInvitation& invitation);
/// Errors: kRank for what is none.
HostInvitation decode_invitation(std::span<const std::byte> payload);

/// The leader's. `first_ranks`: of each other host. One line says which hosts have not called in time.
struct HostsOfLeader {
  HostInvitation invitation;
  std::unique_ptr<HostWatch> watch;
};
HostsOfLeader watch_other_hosts(const std::vector<int>& first_ranks);

/// What the ranks of another host sleep by while they wait for the leader's frames. Called within look().
struct HostBell {
  std::function<void()> ring;
  std::function<void(bool yes)> expect;  ///< Whether rings will come.
};

/// That of another host, by its first rank. `leader`: the process of rank 0.
std::unique_ptr<HostWatch> watch_leader(const HostInvitation& invitation, int rank, int leader, HostBell bell);

}  // namespace longship
