#pragma once

#include <atomic>
#include <memory>
#include <thread>

#include "launcher/job/engine_wire.h"
#include "launcher/job/frame_socket.h"

namespace longship {

/// A rank's connection to the process that started its job.
class Lifeline {
 public:
  /// Connects as the environment says. Errors: kUsage without that environment, kRank if nobody answers.
  static std::unique_ptr<Lifeline> connect(int rank);

  explicit Lifeline(int descriptor) : socket_(descriptor) {}
  ~Lifeline();
  Lifeline(const Lifeline&) = delete;
  Lifeline& operator=(const Lifeline&) = delete;

  FrameSocket& socket() { return socket_; }
  /// Sends the progress, unless it did so a moment ago.
  void report(const LoadProgressReport& progress);
  /// From now on a thread of its own sends heartbeats, and ends this process, with exit code 5, when the other end
  /// closes. Once.
  void beat();

 private:
  void beat_until_stopped() noexcept;

  FrameSocket socket_;
  std::thread heart_;
  std::atomic<bool> stopped_ = false;
  FrameSocket::Deadline next_report_{};
};

}  // namespace longship
