#pragma once

#include <atomic>
#include <string>
#include <unordered_map>
#include <vector>

#include "engine/weights/weight_source.h"

namespace longship {

/// A WeightSource over tensors that lie in mapped memory: what safetensors and GGUF come down to.
class MappedTensors : public WeightSource {
 public:
  /// `path` names the checkpoint in messages; the derived class keeps the mapping alive.
  explicit MappedTensors(std::string path) : path_(std::move(path)) {}

  std::span<const SourceTensor> tensors() const override { return tensors_; }
  std::vector<std::string> unsupported() const override;
  const SourceTensor* find(std::string_view name) const override;
  RegionView view(const SourceTensor& tensor, const Region& region) override;
  const std::string& path() const override { return path_; }
  uint64_t bytes_read() const override { return bytes_read_; }

 protected:
  /// Adds a tensor whose bytes have been checked against the file.
  void add(SourceTensor tensor, std::span<const std::byte> bytes);
  /// Adds a tensor of a type that cannot be loaded: finding it is an error that names the type.
  void add_unsupported(std::string name, std::string type);

 private:
  std::span<const std::byte> bytes_of_tensor(const SourceTensor& tensor) const;

  std::string path_;
  std::vector<SourceTensor> tensors_;
  std::vector<std::span<const std::byte>> bytes_;
  std::unordered_map<std::string, std::size_t> index_;
  std::unordered_map<std::string, std::string> unsupported_;
  std::atomic<uint64_t> bytes_read_ = 0;
};

}  // namespace longship
