#pragma once

#include <array>
#include <memory>
#include <vector>

#include "comm/cuda/nccl_comm.h"
#include "comm/cuda/nccl_scratch.h"
#include "core/tensor.h"
#include "cuda/api.h"

namespace longship {

/// The way from one rank to another, on a communicator of its own, so that a message that is not taken yet holds up
/// nothing else. The sender's messages leave from copies, on a stream of their own, while the device computes on.
class NcclEdge {
 public:
  /// Of the two ranks of an edge's communicator.
  static constexpr int kSender = 0;
  static constexpr int kReceiver = 1;

  /// Both ranks together, which are those of `comm`. `largest`: bytes that no message is expected to exceed.
  NcclEdge(std::unique_ptr<NcclComm> comm, bool sends, std::size_t largest);
  ~NcclEdge();
  NcclEdge(const NcclEdge&) = delete;
  NcclEdge& operator=(const NcclEdge&) = delete;

  /// Of the sender's device, for messages of up to `largest` bytes.
  static std::size_t memory_bytes(std::size_t largest);

  void send(const Tensor& x, cuda::StreamHandle stream);
  void recv(Tensor& x, cuda::StreamHandle stream);
  /// Lets the messages under way move. Never waits.
  void progress();
  /// As those of NcclComm.
  void check(std::string_view operation) { comm_->check(operation); }
  void abort() { comm_->abort(); }

 private:
  /// A copy of a message, until it has gone.
  struct Slot {
    std::unique_ptr<NcclMemory> memory;
    std::size_t bytes = 0;
    cuda::EventHandle filled = nullptr;
    cuda::EventHandle gone = nullptr;
    bool used = false;
  };
  static constexpr int kSlots = 4;

  void connect(bool sends);
  void wait_until_connected();

  std::unique_ptr<NcclComm> comm_;
  std::size_t largest_;
  cuda::StreamHandle side_ = nullptr;  ///< Of the sender.
  std::array<Slot, kSlots> slots_ = {};
  int next_ = 0;
  std::vector<std::unique_ptr<NcclMemory>> outgrown_;
};

}  // namespace longship
