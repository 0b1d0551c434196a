#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "comm/cuda/ipc_message.h"
#include "comm/cuda/ipc_region.h"
#include "core/tensor.h"
#include "cuda/api.h"

namespace longship {

/// The part of an IpcRegion by which neighbours in the ring of its ranks exchange messages: a header of flags and
/// offers, zero at the beginning, and somewhere behind it slots.
struct IpcMailRoom {
  static constexpr std::size_t kSlotBytes = std::size_t{1} << 18;
  static constexpr std::size_t kFlagWords =
      std::size_t{IpcView::kMostRanks} * IpcMessage::kBlocks * IpcMessage::kFlagStride;
  static constexpr std::size_t kHeaderBytes =
      2 * kFlagWords * sizeof(uint32_t) + IpcView::kMostRanks * IpcMessage::kSlots * sizeof(IpcOffer);
  static_assert(kHeaderBytes % 256 == 0);
  /// Of the slots of a rank.
  static constexpr std::size_t slots_bytes(int ranks) { return (ranks == 2 ? 1 : 2) * IpcMessage::kSlots * kSlotBytes; }
  /// Of the memory that an outbox takes beside them where its largest message has so many bytes.
  static std::size_t grown_bytes(std::size_t largest);

  IpcRegion& region;
  std::size_t header = 0;  ///< Where it begins, ...
  std::size_t slots = 0;   ///< ... and where the slots do.
  int rank = 0;
  int ranks = 0;
  std::size_t largest = 0;  ///< Bytes that no message is expected to exceed.
  IpcPatience patience;
};

/// Messages of this rank to a neighbour. The stream waits only where IpcMessage::kSlots of them are under way. Messages
/// beyond IpcMailRoom::kSlotBytes get slots of memory of their own, of the largest one's size, which stays for those
/// that follow.
class IpcOutbox {
 public:
  IpcOutbox(const IpcMailRoom& room, int to);
  /// After all ranks have closed what they see of its memory.
  ~IpcOutbox();
  IpcOutbox(const IpcOutbox&) = delete;
  IpcOutbox& operator=(const IpcOutbox&) = delete;

  /// `x` holds something. Errors: std::bad_alloc.
  void send(const Tensor& x, cuda::StreamHandle stream);
  /// Waits until all that was sent is in its slots.
  void finish();

 private:
  struct Slot {
    std::byte* memory = nullptr;
    std::size_t bytes = 0;
  };

  bool grow(Slot& slot, std::size_t bytes, IpcOffer& offer);

  IpcMessage next_;
  bool near_;
  std::size_t largest_;
  std::array<Slot, IpcMessage::kSlots> slots_;
  std::vector<std::shared_ptr<void>> grown_;  ///< All there ever were: to free memory would wait for the device.
  IpcOffer* offers_;                          ///< At the receiver.
  cuda::EventHandle sent_ = nullptr;
};

/// Messages from a neighbour to this rank.
class IpcInbox {
 public:
  IpcInbox(const IpcMailRoom& room, int from);
  /// Waits until all messages have been fetched, unless an error ends the job.
  ~IpcInbox();
  IpcInbox(const IpcInbox&) = delete;
  IpcInbox& operator=(const IpcInbox&) = delete;

  /// `x` holds something. Waits for the stream where a message needs a larger slot than those before it. Errors: those
  /// of cuda::wait(), and kRank where the sender's memory cannot be seen.
  void recv(Tensor& x, cuda::StreamHandle stream);

 private:
  struct Slot {
    std::byte* memory = nullptr;
    std::size_t bytes = 0;
  };

  std::byte* see_offer(std::size_t slot, cuda::StreamHandle stream);

  IpcMessage next_;
  bool near_;
  std::size_t largest_;
  std::array<Slot, IpcMessage::kSlots> slots_;
  const IpcOffer* offers_;
  std::shared_ptr<void> offer_;  ///< Pinned.
  std::vector<void*> opened_;
  cuda::EventHandle fetched_ = nullptr;
};

}  // namespace longship
