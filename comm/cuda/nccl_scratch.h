#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "comm/cuda/nccl_comm.h"

namespace longship {

/// Device memory that NCCL knows, where this NCCL can register memory: it then reads and writes it without buffers of
/// its own. The communicator outlives it.
class NcclMemory {
 public:
  /// Errors: std::bad_alloc.
  NcclMemory(NcclComm& comm, std::size_t bytes);
  ~NcclMemory();
  NcclMemory(const NcclMemory&) = delete;
  NcclMemory& operator=(const NcclMemory&) = delete;

  void* data() const { return memory_.get(); }

 private:
  NcclComm& comm_;
  std::shared_ptr<void> memory_;
  void* registration_ = nullptr;
};

/// Such memory that grows as needed. One use at a time, in the order of one stream. What it has outgrown stays as long
/// as this: graphs may know it.
class NcclScratch {
 public:
  static constexpr std::size_t kLeastBytes = std::size_t{1} << 20;

  /// Of at least `usual` bytes from its first use on.
  NcclScratch(NcclComm& comm, std::size_t usual) : comm_(comm), usual_(usual) {}
  ~NcclScratch();
  NcclScratch(const NcclScratch&) = delete;
  NcclScratch& operator=(const NcclScratch&) = delete;

  /// At least `count` values. Errors: std::bad_alloc.
  float* floats(std::size_t count);

 private:
  NcclComm& comm_;
  std::size_t usual_;
  std::vector<std::unique_ptr<NcclMemory>> pieces_;  ///< The last one is in use.
  std::size_t bytes_ = 0;                            ///< Of it.
};

}  // namespace longship
