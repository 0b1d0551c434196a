#include "tests/cuda_emulator/copies.h"

#include <cstring>
#include <memory>
#include <vector>

#include "tests/cuda_emulator/device_memory.h"
#include "tests/cuda_emulator/emulator.h"
#include "tests/cuda_emulator/message.h"
#include "tests/cuda_emulator/pinned_memory.h"

namespace longship::cuda::emulator {

namespace {

DeviceMemory& memory() {
  return DeviceMemory::instance();
}

/// Fails if the device never wrote some word of what the host is about to read.
void check_written(const void* from, std::size_t bytes) {
  const auto* bytes_from = static_cast<const std::byte*>(from);
  for (std::size_t at = 0; at + 4 <= bytes; at += 4) {
    uint32_t word = 0;
    std::memcpy(&word, bytes_from + at, 4);
    if (word == 0xFFFFFFFFU) {
      fail(
          format("copies %zu bytes to the host, of which the word at byte %zu was never written (it is 0xFFFFFFFF): %s",
                 bytes, at, memory().describe(bytes_from + at).c_str()));
    }
  }
}

Status copy_to_device(void* to, const void* from, std::size_t bytes, Stream* stream) {
  auto& scheduler = Scheduler::instance();
  if (PinnedMemory::instance().covers(from, bytes)) {
    return scheduler.enqueue(stream, [=] {
      memory().check_range(to, bytes, "copies to");
      std::memcpy(to, from, bytes);
    });
  }
  if (scheduler.capturing(stream)) {
    fail("captures a copy from host memory that is not pinned");
  }
  auto staged = std::make_shared<std::vector<std::byte>>(bytes);
  std::memcpy(staged->data(), from, bytes);
  return scheduler.enqueue(stream, [=] {
    memory().check_range(to, bytes, "copies to");
    std::memcpy(to, staged->data(), bytes);
  });
}

Status copy_to_host(void* to, const void* from, std::size_t bytes, Stream* stream) {
  auto& scheduler = Scheduler::instance();
  const bool pinned = PinnedMemory::instance().covers(to, bytes);
  if (!pinned && scheduler.capturing(stream)) {
    fail("captures a copy to host memory that is not pinned");
  }
  const Status status = scheduler.enqueue(stream, [=] {
    memory().check_range(from, bytes, "copies from");
    check_written(from, bytes);
    std::memcpy(to, from, bytes);
  });
  return status != kSuccess || pinned ? status : scheduler.synchronize(stream);
}

}  // namespace

Status copy_async(void* to, const void* from, std::size_t bytes, CopyKind kind, Stream* stream) {
  if (bytes == 0) {
    return kSuccess;
  }
  if (kind != CopyKind::kHostToDevice) {
    memory().check_range(from, bytes, "copies from");
  } else if (memory().covers(from)) {
    fail(format("copies from the host %zu bytes of device memory", bytes));
  }
  if (kind != CopyKind::kDeviceToHost) {
    memory().check_range(to, bytes, "copies to");
  } else if (memory().covers(to)) {
    fail(format("copies to the host %zu bytes of device memory", bytes));
  }
  switch (kind) {
    case CopyKind::kHostToDevice:
      return copy_to_device(to, from, bytes, stream);
    case CopyKind::kDeviceToHost:
      return copy_to_host(to, from, bytes, stream);
    case CopyKind::kDeviceToDevice:
      break;
  }
  return Scheduler::instance().enqueue(stream, [=] {
    memory().check_range(from, bytes, "copies from");
    memory().check_range(to, bytes, "copies to");
    std::memmove(to, from, bytes);
  });
}

Status fill_async(void* to, int byte, std::size_t bytes, Stream* stream) {
  if (bytes == 0) {
    return kSuccess;
  }
  memory().check_range(to, bytes, "fills");
  return Scheduler::instance().enqueue(stream, [=] {
    memory().check_range(to, bytes, "fills");
    std::memset(to, byte, bytes);
  });
}

}  // namespace longship::cuda::emulator
