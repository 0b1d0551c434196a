#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace longship {

/// Known to the ranks of one job only.
using JobToken = std::array<std::byte, 16>;

/// What hosts of a job say to each other about their ranks.
enum class HostWord : uint32_t {
  kHello,      ///< other host to leader, first: token, rank, process, host
  kWelcome,    ///< leader to other host, first: the token of the answer, process, host
  kHeartbeat,  ///< both ways
  kLost,       ///< other host to leader: a rank of it has ended
  kStopped,    ///< other host to leader: a rank of it stands still
  kEnding,     ///< both ways: a rank was lost, which has been said; the job is to end
  kBye,        ///< both ways: no more watching, ranks now end as they should
  kRing,       ///< leader to other host: a frame is under way to its ranks, which may be asleep
  kCount,
};

/// All words have one size. Numbers are in the byte order of the host, as everything between ranks is.
struct HostMessage {
  uint32_t magic = 0x4c48534c;  // "LSHL"
  HostWord word = HostWord::kHeartbeat;
  int32_t rank = 0;
  int32_t process = 0;
  JobToken token{};
  std::array<char, 64> host{};

  std::string host_text() const;
  void set_host(const std::string& name);
};

/// One end of a TCP connection between the leader and the first rank of another host. Never waits. One thread.
class HostLink {
 public:
  using Clock = std::chrono::steady_clock;
  enum class State : uint8_t { kOpen, kEnded, kBroken };

  /// Takes over the descriptor, which does not block.
  explicit HostLink(int descriptor);
  ~HostLink();
  HostLink(HostLink&& other) noexcept;
  HostLink& operator=(HostLink&& other) noexcept;

  int descriptor() const { return descriptor_; }
  void send(const HostMessage& message);
  /// A word that has come, if there is one; a heartbeat is none. After the last one state() says how the peer ended:
  /// kEnded if its process did, kBroken if it sent nonsense or the network gave it up.
  std::optional<HostMessage> receive();
  State state() const { return state_; }
  /// To be called several times a second: sends the heartbeat when it is due, and says for how long the peer has been
  /// silent. Time in which this process did not run does not count.
  Clock::duration beat();
  /// What beat() said last, or zero if something has come since.
  Clock::duration silence() const { return silence_; }

  static constexpr std::chrono::milliseconds kBeat{250};

 private:
  std::optional<HostMessage> take();

  int descriptor_;
  State state_ = State::kOpen;
  std::array<std::byte, sizeof(HostMessage)> buffer_;
  std::size_t filled_ = 0;
  Clock::time_point next_beat_{};
  Clock::time_point last_look_ = Clock::now();
  Clock::duration silence_{0};
};

}  // namespace longship
