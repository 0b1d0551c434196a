#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "core/error.h"
#include "engine/engine.h"
#include "launcher/job/engine_wire.h"
#include "launcher/job/frame_socket.h"

namespace longship {

/// The engine of a job that runs in other processes, seen through the socket to its leader.
class RemoteEngine : public Engine {
 public:
  /// `loss` says why the leader is gone; it is called once its socket has closed or has fallen `silent`.
  using Loss = std::function<Error(bool silent)>;
  using ProgressSink = std::function<void(const LoadProgressReport&)>;

  /// Waits until the leader says that the engine is ready. Errors: the one that ended the job's start.
  RemoteEngine(FrameSocket& leader, Loss loss, const ProgressSink& progress);

  EngineInfo info() const override { return info_; }
  RequestId submit(GenerationRequest request) override;
  void cancel(RequestId request) override;
  void report(ReportKind kind) override;
  std::optional<EngineEvent> next_event(Deadline deadline) override;
  void shutdown() override;

 private:
  /// False at the deadline. Errors: the loss of the job, and what the leader says has ended it.
  bool receive(Frame& frame, Deadline deadline);

  FrameSocket& leader_;
  Loss loss_;
  EngineInfo info_;
  std::atomic<RequestId> last_id_ = 0;
};

}  // namespace longship
