#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <vector>

#include "comm/cuda/nccl_comm.h"
#include "core/tensor.h"
#include "cuda/api.h"

namespace longship {

/// The way from one rank to another, on a communicator of its own, so that a message that is not taken yet holds up
/// nothing else. The sender's messages leave from copies, on a stream of their own, while the device computes on.
class NcclEdge {
 public:
  /// Both ranks together; `id` was made for this edge.
  NcclEdge(const NcclApi& api, const NcclUniqueId& id, bool sends, std::chrono::milliseconds deadline);
  ~NcclEdge();
  NcclEdge(const NcclEdge&) = delete;
  NcclEdge& operator=(const NcclEdge&) = delete;

  void send(const Tensor& x, cuda::StreamHandle stream);
  void recv(Tensor& x, cuda::StreamHandle stream);
  /// Lets the messages under way move. Never waits.
  void progress();
  /// As those of NcclComm.
  void check(std::string_view operation) { comm_.check(operation); }
  void abort() { comm_.abort(); }

 private:
  /// A copy of a message, until it has gone.
  struct Slot {
    std::shared_ptr<void> memory;
    std::size_t bytes = 0;
    cuda::EventHandle filled = nullptr;
    cuda::EventHandle gone = nullptr;
    bool used = false;
  };
  static constexpr int kSlots = 4;

  void connect(bool sends);
  void wait_until_connected();

  NcclComm comm_;
  cuda::StreamHandle side_ = nullptr;  ///< Of the sender.
  std::array<Slot, kSlots> slots_ = {};
  int next_ = 0;
  std::vector<std::shared_ptr<void>> outgrown_;
};

}  // namespace longship
