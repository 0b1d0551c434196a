#include "comm/cuda/nccl_scratch.h"

#include <algorithm>

#include "cuda/graph_keeper.h"
#include "cuda/memory.h"

namespace longship {

NcclMemory::NcclMemory(NcclComm& comm, std::size_t bytes) : comm_(comm), memory_(cuda::allocate_device(bytes)) {
  const NcclApi& api = comm.api();
  if (bytes != 0 && api.comm_register != nullptr && api.comm_deregister != nullptr &&
      api.comm_register(comm.handle(), memory_.get(), bytes, &registration_) != NcclResult::kSuccess) {
    registration_ = nullptr;
  }
}

NcclMemory::~NcclMemory() {
  if (registration_ != nullptr && comm_.handle() != nullptr) {
    comm_.api().comm_deregister(comm_.handle(), registration_);
  }
}

NcclScratch::~NcclScratch() {
  cuda::release_graphs();
}

float* NcclScratch::floats(std::size_t count) {
  if (count * sizeof(float) > bytes_) {
    const std::size_t bytes = std::max({count * sizeof(float), 2 * bytes_, usual_, kLeastBytes});
    pieces_.push_back(std::make_unique<NcclMemory>(comm_, bytes));
    bytes_ = bytes;
  }
  return pieces_.empty() ? nullptr : static_cast<float*>(pieces_.back()->data());
}

}  // namespace longship
