#include "comm/cuda/nccl_scratch.h"

#include <algorithm>

#include "cuda/memory.h"

namespace longship {

NcclScratch::~NcclScratch() {
  release();
}

void NcclScratch::release() {
  if (registration_ != nullptr && comm_.handle() != nullptr) {
    comm_.api().comm_deregister(comm_.handle(), registration_);
  }
  registration_ = nullptr;
  memory_ = nullptr;
}

float* NcclScratch::floats(std::size_t count) {
  constexpr std::size_t kLeastBytes = std::size_t{1} << 20;
  if (count * sizeof(float) > bytes_) {
    release();
    bytes_ = std::max({count * sizeof(float), 2 * bytes_, kLeastBytes});
    memory_ = cuda::allocate_device(bytes_);
    // Without a registration NCCL goes through its own buffers.
    if (comm_.api().comm_register != nullptr && comm_.api().comm_deregister != nullptr &&
        comm_.api().comm_register(comm_.handle(), memory_.get(), bytes_, &registration_) != NcclResult::kSuccess) {
      registration_ = nullptr;
    }
  }
  return static_cast<float*>(memory_.get());
}

}  // namespace longship
