#include "engine/model/workspace.h"

#include <algorithm>

namespace longship {

namespace {

constexpr auto kFirstOnHost = static_cast<std::size_t>(Slot::kHostLogits);

}  // namespace

void Workspace::declare(Slot slot, int64_t values) {
  int64_t& size = values_[static_cast<std::size_t>(slot)];
  size = std::max(size, values);
}

int64_t Workspace::bytes() const {
  int64_t total = 0;
  for (std::size_t slot = 0; slot < (kernels_.in_host_memory() ? kSlots : kFirstOnHost); ++slot) {
    total += Tensor::aligned_bytes(bytes_of(DType::kF32, values_[slot]));
  }
  return total;
}

void Workspace::allocate() {
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    const Shape shape = {values_[slot]};
    memory_[slot] = slot < kFirstOnHost ? kernels_.allocate(DType::kF32, shape) : Tensor::allocate(DType::kF32, shape);
  }
}

Tensor Workspace::take(Slot slot, Shape shape, DType dtype) const {
  const Tensor& memory = memory_[static_cast<std::size_t>(slot)];
  LONGSHIP_CHECK(element_count(shape) <= memory.elements() && info(dtype).block_bytes == 4,
                 "a tensor is larger than its slot of the workspace");
  return Tensor::wrap(dtype, std::move(shape), memory.data<void>());
}

}  // namespace longship
