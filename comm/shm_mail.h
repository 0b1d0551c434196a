#pragma once

#include <deque>
#include <vector>

#include "comm/shm_group.h"
#include "core/bytes.h"

namespace longship {

/// Messages from rank to rank of a group through its pipes. What does not fit into a pipe yet waits with its sender,
/// who moves it on in every wait of the process and between operations.
class ShmMail final : public Outbox {
 public:
  explicit ShmMail(ShmGroup& group);
  /// Waits until the receivers can take all that was sent, unless an exception ends the job.
  ~ShmMail();
  ShmMail(const ShmMail&) = delete;
  ShmMail& operator=(const ShmMail&) = delete;

  /// Waits only while too many messages to that rank are under way.
  void send(const std::byte* data, int64_t bytes, int to);
  /// The next message from that rank, which has this size.
  void receive(std::byte* data, int64_t bytes, int from);
  void advance() override;
  bool empty() const override;

 private:
  struct Waiting {
    Bytes bytes;
    std::size_t gone = 0;
  };

  int64_t write_some(int to, const std::byte* data, int64_t bytes);
  int64_t read_some(int from, std::byte* data, int64_t bytes);
  void put(int to, const std::byte* data, int64_t bytes);
  void take(int from, std::byte* data, int64_t bytes);
  void advance(int to);

  ShmGroup& group_;
  std::vector<std::deque<Waiting>> waiting_;  ///< By receiver.
};

}  // namespace longship
