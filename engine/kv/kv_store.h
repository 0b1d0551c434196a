#pragma once

#include <cstdint>
#include <vector>

#include "engine/backend/kernels.h"

namespace longship {

/// The keys and values that a rank holds: for each of its layers, the pages of its key/value heads. Which page
/// belongs to whom is the leader's business (PagePool).
class KvStore {
 public:
  /// heads[i]: key/value heads of layer i of this rank.
  KvStore(std::vector<int64_t> heads, int64_t head_dim, int64_t pages, DType dtype);

  int64_t bytes() const;
  /// `memory`: bytes() bytes of the host that outlive the store, zeros or what an earlier store of the same sizes left
  /// there; null: memory of the kernels' device.
  void allocate(Kernels& kernels, std::byte* memory = nullptr);
  KvLayer& layer(std::size_t i) { return layers_[i]; }

 private:
  Shape shape(std::size_t layer, bool keys) const;

  std::vector<int64_t> heads_;
  int64_t head_dim_;
  int64_t pages_;
  DType dtype_;
  std::vector<KvLayer> layers_;
};

}  // namespace longship
