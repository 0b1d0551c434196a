#include "comm/cuda/nccl_edge.h"

#include <exception>

#include "cuda/memory.h"

namespace longship {

namespace {

constexpr const char* kSend = "send";
constexpr int kSender = 0;
constexpr int kReceiver = 1;

}  // namespace

NcclEdge::NcclEdge(const NcclApi& api, const NcclUniqueId& id, bool sends, std::chrono::milliseconds deadline)
    : comm_(api, id, sends ? kSender : kReceiver, 2, deadline) {
  if (!sends) {
    return;
  }
  cuda::check(cuda::api().stream_create(&side_), kSend);
  for (Slot& slot : slots_) {
    cuda::check(cuda::api().event_create(&slot.filled), kSend);
    cuda::check(cuda::api().event_create(&slot.gone), kSend);
  }
}

// Memory that a message still leaves from is freed once it has gone, or given up.
NcclEdge::~NcclEdge() {
  if (std::uncaught_exceptions() != 0) {
    comm_.abort();
  }
  for (Slot& slot : slots_) {
    if (slot.filled != nullptr) {
      cuda::api().event_destroy(slot.filled);
    }
    if (slot.gone != nullptr) {
      cuda::api().event_destroy(slot.gone);
    }
  }
  if (side_ != nullptr) {
    cuda::api().stream_destroy(side_);
  }
}

// The stream waits only where as many messages are under way as there are slots.
void NcclEdge::send(const Tensor& x, cuda::StreamHandle stream) {
  Slot& slot = slots_[static_cast<std::size_t>(next_)];
  next_ = (next_ + 1) % kSlots;
  const auto bytes = static_cast<std::size_t>(x.bytes());
  if (slot.used) {
    cuda::check(cuda::api().stream_wait_event(stream, slot.gone), kSend);
  }
  if (slot.bytes < bytes) {
    slot.memory = nullptr;
    slot.memory = cuda::allocate_device(bytes);
    slot.bytes = bytes;
  }
  cuda::check(
      cuda::api().memcpy_async(slot.memory.get(), x.data<void>(), bytes, cuda::CopyKind::kDeviceToDevice, stream),
      kSend);
  cuda::check(cuda::api().event_record(slot.filled, stream), kSend);
  cuda::check(cuda::api().stream_wait_event(side_, slot.filled), kSend);
  comm_.call(kSend, [&] {
    return comm_.api().send(slot.memory.get(), bytes, NcclType::kInt8, kReceiver, comm_.handle(), side_);
  });
  cuda::check(cuda::api().event_record(slot.gone, side_), kSend);
  slot.used = true;
  progress();
}

void NcclEdge::recv(Tensor& x, cuda::StreamHandle stream) {
  comm_.call("recv", [&] {
    return comm_.api().recv(x.data<void>(), static_cast<std::size_t>(x.bytes()), NcclType::kInt8, kSender,
                            comm_.handle(), stream);
  });
}

void NcclEdge::progress() {
  if (side_ != nullptr) {
    cuda::api().stream_query(side_);
  }
}

}  // namespace longship
