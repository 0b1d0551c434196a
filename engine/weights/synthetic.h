#pragma once

#include <atomic>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/bytes.h"
#include "engine/weights/weight_source.h"

namespace longship {

/// Generated weights of any model: every tensor that is asked for is there, matrices of one type, vectors F32. Values
/// are plausible and the same in every run; a row is the row before, shifted by one block, so that a model of any size
/// takes little memory before it is packed.
class SyntheticWeights : public WeightSource {
 public:
  /// `path` names the model in messages.
  SyntheticWeights(std::string path, DType matrices);

  /// None: what there is shows when it is asked for.
  std::span<const SourceTensor> tensors() const override { return {}; }
  const SourceTensor* find(std::string_view name) const override;
  const SourceTensor* expect(std::string_view name, const Shape& shape) override;
  RegionView view(const SourceTensor& tensor, const Region& region) override;
  const std::string& path() const override { return path_; }
  uint64_t bytes_read() const override { return bytes_read_; }

 private:
  const std::byte* pattern(DType dtype, int64_t bytes, bool ones);

  std::string path_;
  DType matrices_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, SourceTensor> tensors_;         ///< Never erased: pointers to them stay valid.
  std::map<std::pair<DType, bool>, std::deque<Bytes>> patterns_;  ///< Longer ones behind shorter ones.
  std::atomic<uint64_t> bytes_read_ = 0;
};

}  // namespace longship
