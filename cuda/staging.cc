#include "cuda/staging.h"

#include <algorithm>
#include <cstring>

#include "cuda/memory.h"
#include "cuda/watch.h"

namespace longship::cuda {

Staging::Staging() : memory_(allocate_pinned(kSlots * kSlotBytes)) {
  for (EventHandle& event : events_) {
    check(api().event_create(&event), "create an event");
  }
}

Staging::~Staging() {
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    if (in_use_[slot]) {
      api().event_synchronize(events_[slot]);
    }
    api().event_destroy(events_[slot]);
  }
}

std::byte* Staging::acquire() {
  if (in_use_[next_]) {
    wait(events_[next_]);
    in_use_[next_] = false;
  }
  return static_cast<std::byte*>(memory_.get()) + next_ * kSlotBytes;
}

void Staging::submit(void* device, std::size_t bytes, StreamHandle stream) {
  const std::byte* slot = static_cast<std::byte*>(memory_.get()) + next_ * kSlotBytes;
  check(api().memcpy_async(device, slot, bytes, CopyKind::kHostToDevice, stream), "copy to the device");
  check(api().event_record(events_[next_], stream), "record an event");
  in_use_[next_] = true;
  next_ = (next_ + 1) % kSlots;
}

void Staging::copy(const void* host, void* device, std::size_t bytes, StreamHandle stream) {
  for (std::size_t done = 0; done < bytes; done += kSlotBytes) {
    const std::size_t count = std::min(kSlotBytes, bytes - done);
    std::memcpy(acquire(), static_cast<const std::byte*>(host) + done, count);
    submit(static_cast<std::byte*>(device) + done, count, stream);
  }
}

}  // namespace longship::cuda
