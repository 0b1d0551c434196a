#include "launcher/job/engine_server.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "core/error.h"
#include "launcher/job/engine_wire.h"

namespace longship {

namespace {

constexpr std::chrono::seconds kOneWait(1);  // what ends a wait sooner wakes it
constexpr std::size_t kMaxLogitBytes = std::size_t{16} << 20;

class EngineServer {
 public:
  EngineServer(Engine& engine, FrameSocket& parent) : engine_(engine), parent_(parent) {}

  int run() {
    parent_.send(FrameKind::kReady, encode(engine_.info()));
    std::thread reader([this] { read_commands(); });
    try {
      pump_events();
    } catch (const Error& error) {
      parent_.send(FrameKind::kFailed, encode(error));
      exit_code_ = error.exit_code();
    }
    ending_ = true;
    parent_.interrupt();
    reader.join();
    return exit_code_;
  }

 private:
  void read_commands() {
    try {
      while (!ending_ && read_command()) {
      }
    } catch (const Error& error) {
      end(error.exit_code());
    }
  }

  // False for the last one.
  bool read_command() {
    Frame frame;
    const Received received = parent_.receive(frame, std::chrono::steady_clock::now() + kOneWait);
    if (received == Received::kFrame && frame.kind != FrameKind::kShutdown) {
      obey(frame);
    } else if (received != Received::kDeadline) {
      end(received == Received::kClosed ? static_cast<int>(ErrorKind::kRank) : 0);
      return false;
    }
    return true;
  }

  // The engine's end is also that of the wait for its events.
  void end(int exit_code) {
    exit_code_ = exit_code;
    ending_ = true;
    engine_.shutdown();
  }

  void obey(const Frame& frame) {
    if (frame.kind == FrameKind::kSubmit) {
      submit(decode_submit(frame.payload));
    } else if (frame.kind == FrameKind::kCancel) {
      cancel(decode_number(frame.payload));
    } else if (frame.kind == FrameKind::kReport) {
      engine_.report(decode_number(frame.payload) == static_cast<uint64_t>(ReportKind::kRoofline)
                         ? ReportKind::kRoofline
                         : ReportKind::kSpans);
    }
  }

  // Under the lock, so that no event of the request is sent before its id is known.
  void submit(SubmitMessage message) {
    const std::lock_guard lock(mutex_);
    const RequestId local = engine_.submit(std::move(message.request));
    remote_ids_[local] = message.id;
    local_ids_[message.id] = local;
  }

  void cancel(RequestId remote) {
    const std::lock_guard lock(mutex_);
    if (const auto found = local_ids_.find(remote); found != local_ids_.end()) {
      engine_.cancel(found->second);
    }
  }

  RequestId remote_id(const EngineEvent& event) {
    const std::lock_guard lock(mutex_);
    const auto found = remote_ids_.find(event.request);
    LONGSHIP_CHECK(found != remote_ids_.end(), "events belong to submitted requests");
    const RequestId id = found->second;
    if (event.kind == EngineEvent::Kind::kFinished) {
      remote_ids_.erase(found);
      local_ids_.erase(id);
    }
    return id;
  }

  void pump_events() {
    while (!ending_) {
      std::optional<EngineEvent> event = engine_.next_event(std::chrono::steady_clock::now() + kOneWait);
      if (event) {
        if (event->request != 0) {
          event->request = remote_id(*event);
        }
        send(*event);
      }
    }
  }

  void send(EngineEvent& event) {
    const auto vocab = static_cast<std::size_t>(engine_.info().vocab);
    const std::size_t rows = event.logits.size() / vocab;
    const std::size_t rows_per_frame = std::max<std::size_t>(1, kMaxLogitBytes / sizeof(float) / vocab);
    if (rows <= rows_per_frame) {
      parent_.send(FrameKind::kEvent, encode(event));
      return;
    }
    for (std::size_t row = 0; row < rows; row += rows_per_frame) {
      EngineEvent part;
      part.request = event.request;
      part.kind = event.kind;
      part.first_position = event.first_position + static_cast<int64_t>(row);
      const auto begin = event.logits.begin() + static_cast<std::ptrdiff_t>(row * vocab);
      const std::size_t count = std::min(rows_per_frame, rows - row);
      part.logits.assign(begin, begin + static_cast<std::ptrdiff_t>(count * vocab));
      parent_.send(FrameKind::kEvent, encode(part));
    }
  }

  Engine& engine_;
  FrameSocket& parent_;
  std::atomic<bool> ending_ = false;
  std::atomic<int> exit_code_ = 0;
  std::mutex mutex_;
  std::unordered_map<RequestId, RequestId> remote_ids_;
  std::unordered_map<RequestId, RequestId> local_ids_;
};

}  // namespace

int serve_engine(Engine& engine, FrameSocket& parent) {
  return EngineServer(engine, parent).run();
}

}  // namespace longship
