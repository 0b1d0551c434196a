#pragma once

#include <memory>

#include "launcher/engine_wire.h"
#include "launcher/frame_socket.h"

namespace longship {

/// A rank's connection to the process that started its job.
class Lifeline {
 public:
  /// Connects as the environment says. Errors: kUsage without that environment, kRank if nobody answers.
  static std::unique_ptr<Lifeline> connect(int rank);

  explicit Lifeline(int descriptor) : socket_(descriptor) {}

  FrameSocket& socket() { return socket_; }
  /// Sends the progress, unless it did so a moment ago.
  void report(const LoadProgressReport& progress);
  /// From now on a thread of its own ends this process, with exit code 5, when the other end closes. Once.
  void end_with_parent();

 private:
  FrameSocket socket_;
  FrameSocket::Deadline next_report_{};
};

}  // namespace longship
