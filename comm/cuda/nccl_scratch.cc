#include "comm/cuda/nccl_scratch.h"

#include <algorithm>
#include <utility>

#include "cuda/graph_keeper.h"
#include "cuda/memory.h"

namespace longship {

NcclScratch::~NcclScratch() {
  cuda::release_graphs();
  for (const Piece& piece : pieces_) {
    if (piece.registration != nullptr && comm_.handle() != nullptr) {
      comm_.api().comm_deregister(comm_.handle(), piece.registration);
    }
  }
}

float* NcclScratch::floats(std::size_t count) {
  constexpr std::size_t kLeastBytes = std::size_t{1} << 20;
  if (count * sizeof(float) > bytes_) {
    const std::size_t bytes = std::max({count * sizeof(float), 2 * bytes_, kLeastBytes});
    Piece piece{.memory = cuda::allocate_device(bytes)};
    // Without a registration NCCL goes through its own buffers.
    if (comm_.api().comm_register != nullptr && comm_.api().comm_deregister != nullptr &&
        comm_.api().comm_register(comm_.handle(), piece.memory.get(), bytes, &piece.registration) !=
            NcclResult::kSuccess) {
      piece.registration = nullptr;
    }
    pieces_.push_back(std::move(piece));
    bytes_ = bytes;
  }
  return pieces_.empty() ? nullptr : static_cast<float*>(pieces_.back().memory.get());
}

}  // namespace longship
