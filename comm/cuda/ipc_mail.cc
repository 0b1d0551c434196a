#include "comm/cuda/ipc_mail.h"

#include <algorithm>
#include <bit>
#include <exception>
#include <string>

#include "core/error.h"
#include "cuda/memory.h"
#include "cuda/watch.h"

namespace longship {

namespace {

constexpr const char* kSend = "send";
constexpr const char* kRecv = "recv";
// The runtime may serve smaller pieces from one piece of memory, all of which a handle would share.
constexpr std::size_t kLeastGrown = std::size_t{1} << 21;

// Of a slot for a message of `bytes`, as both sides know it.
std::size_t grown_slot(std::size_t bytes, std::size_t largest) {
  return bytes <= largest ? (largest + kLeastGrown - 1) / kLeastGrown * kLeastGrown
                          : std::bit_ceil(std::max(bytes, kLeastGrown));
}

uint32_t* flags(const IpcMailRoom& room, int owner, std::size_t kind, int peer) {
  auto* words = reinterpret_cast<uint32_t*>(room.region.of(owner) + room.header);
  return words + kind * IpcMailRoom::kFlagWords +
         static_cast<std::size_t>(peer) * IpcMessage::kBlocks * IpcMessage::kFlagStride;
}

IpcOffer* offers(const IpcMailRoom& room, int owner, int sender) {
  std::byte* begin = room.region.of(owner) + room.header + 2 * IpcMailRoom::kFlagWords * sizeof(uint32_t);
  return reinterpret_cast<IpcOffer*>(begin) + static_cast<std::ptrdiff_t>(sender) * IpcMessage::kSlots;
}

std::byte* slot_of(const IpcMailRoom& room, int sender, int receiver, std::size_t slot) {
  const std::size_t way = receiver == (sender + 1) % room.ranks ? 0 : 1;
  return room.region.of(sender) + room.slots + (way * IpcMessage::kSlots + slot) * IpcMailRoom::kSlotBytes;
}

IpcMessage first_message(const IpcMailRoom& room, int sender, int receiver) {
  IpcMessage message;
  message.number = 1;
  message.peer = room.rank == sender ? receiver : sender;
  message.filled = flags(room, receiver, 0, sender);
  message.fetched = flags(room, sender, 1, receiver);
  message.patience = room.patience;
  return message;
}

std::size_t slot_number(const IpcMessage& message) {
  return message.number % IpcMessage::kSlots;
}

}  // namespace

std::size_t IpcMailRoom::grown_bytes(std::size_t largest) {
  return largest <= kSlotBytes ? 0 : IpcMessage::kSlots * grown_slot(largest, largest);
}

IpcOutbox::IpcOutbox(const IpcMailRoom& room, int to)
    : next_(first_message(room, room.rank, to)),
      near_(room.region.shares_process(to)),
      largest_(room.largest),
      offers_(offers(room, to, room.rank)) {
  for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
    slots_[slot] = {slot_of(room, room.rank, to, slot), IpcMailRoom::kSlotBytes};
  }
  cuda::check(cuda::api().event_create(&sent_), kSend);
}

IpcOutbox::~IpcOutbox() {
  cuda::api().event_destroy(sent_);
}

bool IpcOutbox::grow(Slot& slot, std::size_t bytes, IpcOffer& offer) {
  if (bytes <= slot.bytes) {
    return false;
  }
  slot.bytes = grown_slot(bytes, largest_);
  slot.memory = static_cast<std::byte*>(grown_.emplace_back(cuda::allocate_device(slot.bytes)).get());
  offer.memory = slot.memory;
  if (!near_) {
    cuda::check(cuda::api().ipc_get_handle(&offer.handle, slot.memory), kSend);
  }
  return true;
}

void IpcOutbox::send(const Tensor& x, cuda::StreamHandle stream) {
  Slot& slot = slots_[slot_number(next_)];
  IpcOffer offer;
  const bool grows = grow(slot, static_cast<std::size_t>(x.bytes()), offer);
  next_.bytes = x.bytes();
  next_.slot = slot.memory;
  ipc_send(next_, x.data<const std::byte>(), offer, grows ? offers_ + slot_number(next_) : nullptr, stream);
  cuda::check(cuda::api().event_record(sent_, stream), kSend);
  ++next_.number;
}

void IpcOutbox::finish() {
  cuda::api().event_synchronize(sent_);
}

IpcInbox::IpcInbox(const IpcMailRoom& room, int from)
    : next_(first_message(room, from, room.rank)),
      near_(room.region.shares_process(from)),
      largest_(room.largest),
      offers_(offers(room, room.rank, from)),
      offer_(cuda::allocate_pinned(sizeof(IpcOffer))) {
  for (std::size_t slot = 0; slot < slots_.size(); ++slot) {
    slots_[slot] = {slot_of(room, from, room.rank, slot), IpcMailRoom::kSlotBytes};
  }
  cuda::check(cuda::api().event_create(&fetched_), kRecv);
}

IpcInbox::~IpcInbox() {
  if (std::uncaught_exceptions() == 0) {
    cuda::api().event_synchronize(fetched_);
  }
  cuda::api().event_destroy(fetched_);
  for (void* memory : opened_) {
    cuda::api().ipc_close_handle(memory);
  }
}

std::byte* IpcInbox::see_offer(std::size_t slot, cuda::StreamHandle stream) {
  ipc_await(next_, stream);
  auto* offer = static_cast<IpcOffer*>(offer_.get());
  cuda::check(cuda::api().memcpy_async(offer, offers_ + slot, sizeof(IpcOffer), cuda::CopyKind::kDeviceToHost, stream),
              kRecv);
  cuda::wait(stream);
  if (near_) {
    return offer->memory;
  }
  void* opened = nullptr;
  const cuda::Status status = cuda::api().ipc_open_handle(&opened, &offer->handle);
  if (status != cuda::kSuccess) {
    cuda::api().last_error();
    throw Error(ErrorKind::kRank,
                "recv from rank " + std::to_string(next_.peer) +
                    " of the group: its memory cannot be opened: " + cuda::api().error_string(status),
                "Use --comm nccl or --comm shm.");
  }
  opened_.push_back(opened);
  return static_cast<std::byte*>(opened);
}

void IpcInbox::recv(Tensor& x, cuda::StreamHandle stream) {
  const std::size_t number = slot_number(next_);
  Slot& slot = slots_[number];
  const auto bytes = static_cast<std::size_t>(x.bytes());
  next_.bytes = x.bytes();
  if (bytes > slot.bytes) {
    slot = {see_offer(number, stream), grown_slot(bytes, largest_)};
  }
  next_.slot = slot.memory;
  ipc_recv(next_, x.data<std::byte>(), stream);
  cuda::check(cuda::api().event_record(fetched_, stream), kRecv);
  ++next_.number;
}

}  // namespace longship
