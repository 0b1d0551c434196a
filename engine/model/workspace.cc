#include "engine/model/workspace.h"

#include <algorithm>

namespace longship {

void Workspace::declare(Slot slot, int64_t values) {
  int64_t& size = values_[static_cast<std::size_t>(slot)];
  size = std::max(size, values);
}

int64_t Workspace::bytes() const {
  int64_t total = kernels_.group_list_bytes(products_);
  for (const int64_t values : values_) {
    total += Tensor::aligned_bytes(bytes_of(DType::kF32, values));
  }
  return total;
}

void Workspace::allocate() {
  for (std::size_t slot = 0; slot < kSlots; ++slot) {
    memory_[slot] = kernels_.allocate(DType::kF32, {values_[slot]});
  }
}

Tensor Workspace::take(Slot slot, Shape shape, DType dtype) const {
  const Tensor& memory = memory_[static_cast<std::size_t>(slot)];
  LONGSHIP_CHECK(element_count(shape) <= memory.elements() && info(dtype).block_bytes == 4,
                 "a tensor is larger than its slot of the workspace");
  return Tensor::wrap(dtype, std::move(shape), memory.data<void>());
}

GroupRoom Workspace::room_for_groups(int64_t input, int64_t output) const {
  return in_host_memory() ? GroupRoom{take(Slot::kGroupInput, {input}), take(Slot::kGroupOutput, {output})}
                          : GroupRoom{};
}

}  // namespace longship
