#include "engine/kv/kv_store.h"

#include <utility>

namespace longship {

KvStore::KvStore(std::vector<int64_t> heads, int64_t head_dim, int64_t pages, DType dtype)
    : heads_(std::move(heads)), head_dim_(head_dim), pages_(pages), dtype_(dtype) {}

Shape KvStore::shape(std::size_t layer, bool keys) const {
  return keys ? Shape{pages_, heads_[layer], head_dim_, kPageTokens}
              : Shape{pages_, heads_[layer], kPageTokens, head_dim_};
}

int64_t KvStore::bytes() const {
  int64_t total = 0;
  for (std::size_t i = 0; i < heads_.size(); ++i) {
    total += 2 * Tensor::aligned_bytes(bytes_of(dtype_, element_count(shape(i, true))));
  }
  return total;
}

void KvStore::allocate(Kernels& kernels, std::byte* memory) {
  const auto take = [&](const Shape& shape) {
    if (memory == nullptr) {
      return kernels.allocate(dtype_, shape);
    }
    Tensor tensor = Tensor::wrap(dtype_, shape, memory);
    memory += Tensor::aligned_bytes(tensor.bytes());
    return tensor;
  };
  for (std::size_t i = 0; i < heads_.size(); ++i) {
    Tensor keys = take(shape(i, true));
    layers_.push_back({std::move(keys), take(shape(i, false))});
  }
}

}  // namespace longship
