#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <optional>

#include "core/bytes.h"

namespace longship {

/// What a frame between a rank of a self-started job and the process that started it says.
enum class FrameKind : uint16_t {
  kHello,      ///< rank to parent, first: Hello
  kHeartbeat,  ///< rank to parent: it runs; receive() passes over them.
  kProgress,   ///< rank to parent: LoadProgressReport
  kReady,      ///< leader to parent: EngineInfo
  kFailed,     ///< leader to parent: the Error that ends the job
  kEvent,      ///< leader to parent: EngineEvent
  kSubmit,     ///< parent to leader: request id, GenerationRequest
  kCancel,     ///< parent to leader: request id
  kReport,     ///< parent to leader: ReportKind
  kShutdown,   ///< parent to leader
  kLast = kShutdown,
};

struct Frame {
  FrameKind kind = FrameKind::kHello;
  Bytes payload;
};

enum class Received : uint8_t { kFrame, kDeadline, kClosed, kSilent };

/// One end of a stream socket that carries frames: a header (magic, version of the protocol, kind, size) and at most
/// kMaxPayloadBytes. Any thread may send; one thread receives.
class FrameSocket {
 public:
  using Deadline = std::chrono::steady_clock::time_point;
  static constexpr uint64_t kMaxPayloadBytes = uint64_t{256} << 20;

  /// Takes the descriptor over and makes it non-blocking.
  explicit FrameSocket(int descriptor);
  ~FrameSocket();
  FrameSocket(const FrameSocket&) = delete;
  FrameSocket& operator=(const FrameSocket&) = delete;

  int descriptor() const { return descriptor_; }

  /// From now on the peer sends something all the time, a heartbeat at least: receive() gives kSilent once it has found
  /// nothing for `limit`. Time in which this process did not look, or did not run, does not count.
  void expect_heartbeats(std::chrono::milliseconds limit);

  /// Sends the whole frame, waiting while the peer's buffer is full. False if the peer is gone, now or before.
  bool send(FrameKind kind, const Bytes& payload);

  /// The next frame, unless the deadline or the end of the peer comes first. Throws kRank for what is not a frame of
  /// this version.
  Received receive(Frame& frame, Deadline deadline);
  /// Ends a receive() that waits, or the next that would, as its deadline does. Any thread.
  void interrupt();
  /// How long receive() may find nothing from now on before it gives kSilent; the longest time where it never does. By
  /// the thread that receives.
  std::chrono::milliseconds until_silent() const;

 private:
  bool send_all(const void* data, std::size_t size);
  bool parse(Frame& frame);
  Received read_more(Deadline deadline);
  bool take_interrupt();
  bool silent();

  int descriptor_;
  int interrupt_;  ///< An eventfd.
  std::mutex send_mutex_;
  Bytes buffer_;  ///< Received bytes that are not yet a frame.
  std::chrono::milliseconds silence_limit_{0};
  Deadline::duration silence_{0};  ///< Spent looking since the last bytes came.
  Deadline last_look_{};
};

/// A listening Unix socket at `path`. Errors: kRank.
int listen_at(const std::filesystem::path& path);

/// Connects to it. Errors: kRank.
int connect_to(const std::filesystem::path& path);

}  // namespace longship
