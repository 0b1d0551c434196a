#pragma once

#include <cstddef>
#include <memory>

#include "comm/cuda/nccl_comm.h"

namespace longship {

/// Device memory that grows as needed and that NCCL knows, where this NCCL can register memory: it then reads and
/// writes it without buffers of its own. One use at a time, in the order of one stream.
class NcclScratch {
 public:
  explicit NcclScratch(NcclComm& comm) : comm_(comm) {}
  ~NcclScratch();
  NcclScratch(const NcclScratch&) = delete;
  NcclScratch& operator=(const NcclScratch&) = delete;

  /// At least `count` values. Growing waits for the device. Errors: std::bad_alloc.
  float* floats(std::size_t count);

 private:
  void release();

  NcclComm& comm_;
  std::shared_ptr<void> memory_;
  std::size_t bytes_ = 0;
  void* registration_ = nullptr;
};

}  // namespace longship
