#pragma once

#include <cstddef>
#include <cstdint>

#include "comm/cuda/ipc_view.h"
#include "cuda/api.h"

namespace longship {

/// Where a message is that is larger than those before it in its slot: written by the sender, read by the receiver's
/// host, which then sees that memory too.
struct IpcOffer {
  cuda::IpcHandle handle;
  std::byte* memory = nullptr;  ///< The same for ranks of one process.
};

/// A message from device to device, as kernels of the sender and of the receiver take it. The sender copies it into a
/// slot of its memory, block by block of threads, and sets a flag at the receiver for each; the receiver fetches it
/// from there and sets flags at the sender. Slots take turns: a slot is written again when all of its last message has
/// been fetched.
struct IpcMessage {
  static constexpr int kSlots = 4;
  static constexpr int kBlocks = 16;
  static constexpr int kFlagStride = IpcView::kFlagStride;

  uint32_t number = 0;  ///< Of those of this way, from 1 on.
  int32_t peer = 0;
  int64_t bytes = 0;
  std::byte* slot = nullptr;    ///< Of the sender, as this rank sees it.
  uint32_t* filled = nullptr;   ///< [kBlocks], at the receiver
  uint32_t* fetched = nullptr;  ///< [kBlocks], at the sender
  IpcPatience patience;
};

/// Copies `x` into the message's slot, once that is free, and tells the receiver. `offer`: what it has to know of the
/// slot first, put to `to` in its memory; nothing if that is null. In the order of the stream.
void ipc_send(const IpcMessage& message, const std::byte* x, const IpcOffer& offer, IpcOffer* to,
              cuda::StreamHandle stream);

/// Waits until the sender has told of the message.
void ipc_await(const IpcMessage& message, cuda::StreamHandle stream);

/// Fetches the message into `x` and tells the sender. Leaves `x` as it is where nothing comes.
void ipc_recv(const IpcMessage& message, std::byte* x, cuda::StreamHandle stream);

}  // namespace longship
