#include "tests/cuda_emulator/pinned_memory.h"

#include <cstdlib>
#include <cstring>

#include "tests/cuda_emulator/emulator.h"
#include "tests/cuda_emulator/message.h"

namespace longship::cuda::emulator {

PinnedMemory& PinnedMemory::instance() {
  static auto* memory = new PinnedMemory;
  return *memory;
}

void* PinnedMemory::allocate(std::size_t bytes) {
  constexpr std::size_t kAlignment = 256;
  auto* memory =
      static_cast<std::byte*>(std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment));
  if (memory == nullptr) {
    return nullptr;
  }
  std::memset(memory, 0xFF, bytes);
  const std::lock_guard lock(mutex_);
  pieces_[memory] = bytes;
  return memory;
}

void PinnedMemory::release(void* memory) {
  if (memory == nullptr) {
    return;
  }
  const std::lock_guard lock(mutex_);
  if (pieces_.erase(static_cast<std::byte*>(memory)) == 0) {
    fail(format("frees %p, which is not pinned memory", memory));
  }
  std::free(memory);
}

bool PinnedMemory::covers(const void* memory, std::size_t bytes) {
  auto* begin = static_cast<std::byte*>(const_cast<void*>(memory));
  const std::lock_guard lock(mutex_);
  const auto next = pieces_.upper_bound(begin);
  return next != pieces_.begin() && begin + bytes <= std::prev(next)->first + std::prev(next)->second;
}

}  // namespace longship::cuda::emulator
