#pragma once

#include <vector>

#include "bench/cuda/device_bench.h"

namespace longship {

/// Values f32 between -1 and 1, in memory of the device. Never zeros, which devices multiply faster.
Tensor device_values(DeviceBench& bench, const Shape& shape);
Tensor device_indices(DeviceBench& bench, const std::vector<int32_t>& values);

/// Weights of one shape and of plausible values, enough of them that calls which take turns miss the cache. Each is
/// made when it is first asked for.
class DeviceWeights {
 public:
  DeviceWeights(DeviceBench& bench, DType dtype, int64_t rows, int64_t columns);

  const Weight& of(int64_t call);
  int64_t count() const { return static_cast<int64_t>(weights_.size()); }
  int64_t rows() const { return rows_; }
  int64_t columns() const { return columns_; }
  int64_t bytes() const { return bytes_; }  ///< Of one.

 private:
  struct Made {
    Tensor memory;
    Weight weight;
  };

  DeviceBench& bench_;
  DType dtype_;
  int64_t rows_;
  int64_t columns_;
  int64_t bytes_;
  std::vector<std::byte> stored_;
  std::vector<Made> weights_;
};

/// The last `rows` tokens of each of some sequences of `depth` tokens, and their pages.
Batch device_batch(DeviceBench& bench, int64_t sequences, int64_t rows, int64_t depth);

/// Keys and values of the layers of a batch's sequences, enough layers that calls which take turns miss the cache.
class DeviceKv {
 public:
  DeviceKv(DeviceBench& bench, DType dtype, int64_t sequences, int64_t depth);

  KvLayer& of(int64_t call) { return layers_[static_cast<std::size_t>(call) % layers_.size()]; }
  int64_t count() const { return static_cast<int64_t>(layers_.size()); }
  int64_t bytes() const { return bytes_; }  ///< Of the keys and values of one layer.

 private:
  void fill(DeviceBench& bench, const Tensor& values, int64_t begin, const std::vector<int32_t>& pages);

  std::vector<KvLayer> layers_;
  int64_t bytes_ = 0;
};

/// The attention of the model, each query head with its key/value head.
AttentionSpec attention_spec(const BenchShape& shape);

/// The order of a sum over all columns, as the model has it.
std::vector<GroupStep> whole_sum(int64_t columns);

}  // namespace longship
