#pragma once

#include <cstddef>
#include <map>
#include <mutex>

namespace longship::cuda::emulator {

/// Host memory that the device may use at any time. Filled with 0xFF. Thread-safe.
class PinnedMemory {
 public:
  static PinnedMemory& instance();

  void* allocate(std::size_t bytes);
  void release(void* memory);
  /// Whether all bytes lie in one piece of it.
  bool covers(const void* memory, std::size_t bytes);

 private:
  std::mutex mutex_;
  std::map<std::byte*, std::size_t> pieces_;
};

}  // namespace longship::cuda::emulator
