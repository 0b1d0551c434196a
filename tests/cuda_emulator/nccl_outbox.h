#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "core/bytes.h"
#include "tests/cuda_emulator/nccl_meeting.h"

namespace longship::cuda::emulator {

/// What one rank of a communicator has sent and the pipes have no room for yet. A thread moves it on, as NCCL's proxy
/// does, so that a message travels while its sender does other things. Any thread.
class NcclOutbox {
 public:
  NcclOutbox(NcclMeeting& meeting, int rank, int ranks);
  /// What has not gone by then is lost.
  ~NcclOutbox();
  NcclOutbox(const NcclOutbox&) = delete;
  NcclOutbox& operator=(const NcclOutbox&) = delete;

  void send(int to, Bytes bytes);
  bool is_empty();

 private:
  struct Message {
    Bytes bytes;
    std::size_t gone = 0;
  };

  void run(const std::stop_token& stop);
  bool advance();  ///< Whether something is left. The mutex is held.

  NcclMeeting& meeting_;
  int rank_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::vector<std::deque<Message>> messages_;  ///< By receiver.
  std::jthread thread_;
};

}  // namespace longship::cuda::emulator
