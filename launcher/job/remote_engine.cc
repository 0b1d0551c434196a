#include "launcher/job/remote_engine.h"

namespace longship {

namespace {

constexpr std::chrono::seconds kOneWait(1);

Error unexpected_frame() {
  return Error(ErrorKind::kRank, "the leader sent a frame out of turn",
               "Check that every rank runs the same version of longship.");
}

}  // namespace

RemoteEngine::RemoteEngine(FrameSocket& leader, Loss loss, const ProgressSink& progress)
    : leader_(leader), loss_(std::move(loss)) {
  Frame frame;
  for (;;) {  // loading may take long; a leader that ends closes the socket
    if (!receive(frame, std::chrono::steady_clock::now() + kOneWait)) {
      continue;
    }
    if (frame.kind == FrameKind::kReady) {
      info_ = decode_info(frame.payload);
      return;
    }
    if (frame.kind != FrameKind::kProgress) {
      throw unexpected_frame();
    }
    progress(decode_progress(frame.payload));
  }
}

RequestId RemoteEngine::submit(GenerationRequest request) {
  const RequestId id = ++last_id_;
  leader_.send(FrameKind::kSubmit, encode(SubmitMessage{id, std::move(request)}));
  return id;
}

void RemoteEngine::cancel(RequestId request) {
  leader_.send(FrameKind::kCancel, encode_number(request));
}

void RemoteEngine::report(ReportKind kind) {
  leader_.send(FrameKind::kReport, encode_number(static_cast<uint64_t>(kind)));
}

bool RemoteEngine::receive(Frame& frame, Deadline deadline) {
  switch (leader_.receive(frame, deadline)) {
    case Received::kDeadline:
      return false;
    case Received::kClosed:
      throw loss_(false);
    case Received::kSilent:
      throw loss_(true);
    case Received::kFrame:
      break;
  }
  if (frame.kind == FrameKind::kFailed) {
    throw decode_error(frame.payload);
  }
  return true;
}

std::optional<EngineEvent> RemoteEngine::next_event(Deadline deadline) {
  Frame frame;
  if (!receive(frame, deadline)) {
    return std::nullopt;
  }
  if (frame.kind != FrameKind::kEvent) {
    throw unexpected_frame();
  }
  return decode_event(frame.payload);
}

void RemoteEngine::shutdown() {
  leader_.send(FrameKind::kShutdown, {});
}

}  // namespace longship
