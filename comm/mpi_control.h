#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "comm/control.h"
#include "comm/doorbell.h"
#include "comm/mpi_port.h"

namespace longship {

/// The leader's frames over MPI: each is one message to every other rank, kept until it is gone. An idle rank sleeps
/// until the doorbell of its host, where it has one, and looks now and then as well.
class MpiControl final : public ControlChannel {
 public:
  /// All ranks of the job together.
  explicit MpiControl(MpiJob& job) : job_(job), port_(job, nullptr, 0, 0) {}
  /// All ranks of `parent` together: the control channel of those of one color, whose end goes unsaid.
  MpiControl(MpiJob& job, const MpiPort& parent, int color, int key)
      : job_(job), port_(job, &parent, color, key), says_end_(false) {}
  /// On the leader: tells the others that no frame will follow.
  ~MpiControl() override;

  void publish(Bytes frame) override;
  std::optional<Bytes> receive(Deadline deadline) override;
  void tell(Bytes frame) override;
  std::optional<Bytes> heard() override;
  void agree(const Error* failure, std::string_view phase) override;
  void wake_others_by(const std::function<void()>& wake) override { wake_others_ = wake; }
  void wake_host() override;
  void expect_wakes(bool yes) override;

  /// All ranks together: those of one `host` share a doorbell. `leaders`: the host of the leader.
  void hang_doorbells(int host, int leaders);

  const MpiPort& port() const { return port_; }

 private:
  Bytes wait_for(int from, int tag, std::string_view operation, std::chrono::milliseconds limit);

  void ring();

  MpiJob& job_;
  MpiPort port_;
  bool says_end_ = true;
  std::unique_ptr<Doorbell> bell_;  ///< Null where ranks of this host cannot share memory.
  std::function<void()> wake_others_;
  Deadline last_ring_{};
};

}  // namespace longship
