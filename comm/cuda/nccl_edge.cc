#include "comm/cuda/nccl_edge.h"

#include <algorithm>
#include <exception>
#include <string>
#include <utility>

#include "core/backoff.h"
#include "cuda/memory.h"

namespace longship {

namespace {

constexpr const char* kSend = "send";
constexpr const char* kConnect = "meeting over NCCL";
// Of a slot of small messages, as the chosen tokens are.
constexpr std::size_t kSmallBytes = std::size_t{1} << 16;

}  // namespace

NcclEdge::NcclEdge(std::unique_ptr<NcclComm> comm, bool sends, std::size_t largest)
    : comm_(std::move(comm)), largest_(largest) {
  cuda::check(cuda::api().stream_create(&side_), kConnect);
  connect(sends);
  if (!sends) {
    cuda::api().stream_destroy(side_);
    side_ = nullptr;
    return;
  }
  for (Slot& slot : slots_) {
    cuda::check(cuda::api().event_create(&slot.filled), kSend);
    cuda::check(cuda::api().event_create(&slot.gone), kSend);
  }
}

// By the first message two ranks connect, and until then the host of each waits for the call of the other: later, two
// that send to each other before they receive would wait for ever.
void NcclEdge::connect(bool sends) {
  constexpr std::size_t kBytes = 16;
  const std::shared_ptr<void> word = cuda::allocate_device(kBytes);
  const NcclApi& api = comm_->api();
  comm_->call(kConnect, [&] {
    return sends ? api.send(word.get(), kBytes, NcclType::kInt8, kReceiver, comm_->handle(), side_)
                 : api.recv(word.get(), kBytes, NcclType::kInt8, kSender, comm_->handle(), side_);
  });
  wait_until_connected();
}

void NcclEdge::wait_until_connected() {
  Backoff backoff;
  for (;;) {
    const cuda::Status status = cuda::api().stream_query(side_);
    if (status != cuda::kNotReady) {
      cuda::check(status, kConnect);
      return;
    }
    comm_->check(kConnect);
    if (backoff.pause() > comm_->deadline()) {
      comm_->fail(kConnect, "the device was not done after " + std::to_string(comm_->deadline().count()) + " ms");
    }
  }
}

// Memory that a message still leaves from is freed once it has gone, or given up.
NcclEdge::~NcclEdge() {
  if (std::uncaught_exceptions() != 0) {
    comm_->abort();
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

std::size_t NcclEdge::memory_bytes(std::size_t largest) {
  return kSlots * (kSmallBytes + (largest > kSmallBytes ? largest : 0));
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
    // To free memory waits for the device, which may send what the receiver takes only after a message from here.
    outgrown_.push_back(std::move(slot.memory));
    slot.bytes = bytes <= kSmallBytes ? kSmallBytes : std::max({bytes, 2 * slot.bytes, largest_});
    slot.memory = std::make_unique<NcclMemory>(*comm_, slot.bytes);
  }
  cuda::check(
      cuda::api().memcpy_async(slot.memory->data(), x.data<void>(), bytes, cuda::CopyKind::kDeviceToDevice, stream),
      kSend);
  cuda::check(cuda::api().event_record(slot.filled, stream), kSend);
  cuda::check(cuda::api().stream_wait_event(side_, slot.filled), kSend);
  comm_->call(kSend, [&] {
    return comm_->api().send(slot.memory->data(), bytes, NcclType::kInt8, kReceiver, comm_->handle(), side_);
  });
  cuda::check(cuda::api().event_record(slot.gone, side_), kSend);
  slot.used = true;
  progress();
}

void NcclEdge::recv(Tensor& x, cuda::StreamHandle stream) {
  comm_->call("recv", [&] {
    return comm_->api().recv(x.data<void>(), static_cast<std::size_t>(x.bytes()), NcclType::kInt8, kSender,
                             comm_->handle(), stream);
  });
}

void NcclEdge::progress() {
  if (side_ != nullptr) {
    cuda::api().stream_query(side_);
  }
}

}  // namespace longship
