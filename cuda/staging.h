#pragma once

#include <array>
#include <cstddef>
#include <memory>

#include "cuda/api.h"

namespace longship::cuda {

/// Pinned memory through which the host's values go to the device: the host fills a slot, its copy is put on a stream,
/// and the next slot is filled meanwhile. A slot is waited for only when its copy of a round before is not done. One
/// thread at a time. Errors: as check().
class Staging {
 public:
  static constexpr std::size_t kSlotBytes = std::size_t{1} << 20;

  Staging();
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  /// Memory of kSlotBytes for the host to fill, until submit().
  std::byte* acquire();
  /// Copies the first `bytes` bytes of the acquired slot to the device.
  void submit(void* device, std::size_t bytes, StreamHandle stream);
  /// Copies any number of bytes; those at `host` may change once the call returns.
  void copy(const void* host, void* device, std::size_t bytes, StreamHandle stream);

 private:
  static constexpr std::size_t kSlots = 16;

  std::shared_ptr<void> memory_;
  std::array<EventHandle, kSlots> events_ = {};
  std::array<bool, kSlots> in_use_ = {};
  std::size_t next_ = 0;
};

}  // namespace longship::cuda
