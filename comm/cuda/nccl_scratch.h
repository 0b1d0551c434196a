#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "comm/cuda/nccl_comm.h"

namespace longship {

/// Device memory that grows as needed and that NCCL knows, where this NCCL can register memory: it then reads and
/// writes it without buffers of its own. One use at a time, in the order of one stream. What it has outgrown stays as
/// long as this: graphs may know it.
class NcclScratch {
 public:
  explicit NcclScratch(NcclComm& comm) : comm_(comm) {}
  ~NcclScratch();
  NcclScratch(const NcclScratch&) = delete;
  NcclScratch& operator=(const NcclScratch&) = delete;

  /// At least `count` values. Errors: std::bad_alloc.
  float* floats(std::size_t count);

 private:
  struct Piece {
    std::shared_ptr<void> memory;
    void* registration = nullptr;
  };

  NcclComm& comm_;
  std::vector<Piece> pieces_;  ///< The last one is in use.
  std::size_t bytes_ = 0;      ///< Of it.
};

}  // namespace longship
