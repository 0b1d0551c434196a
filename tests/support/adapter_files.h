#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/json.h"
#include "core/tensor.h"

namespace longship::testing {

/// A tensor of a file.
struct StoredTensor {
  std::string name;
  std::string dtype;  ///< As safetensors calls it.
  Shape shape;
  std::string bytes;
};

StoredTensor f32_tensor(std::string name, Shape shape, const std::vector<float>& values);
/// Values of a file's tensor.
std::vector<float> f32_values(const StoredTensor& tensor);
std::vector<StoredTensor> read_safetensors(const std::filesystem::path& path);
void write_safetensors(const std::filesystem::path& path, const std::vector<StoredTensor>& tensors);

/// A module of an adapter, and the size of its matrices.
struct AdapterModule {
  std::string name;  ///< "model.layers.0.self_attn.q_proj"
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t rank = 0;
};

/// A folder that is deleted with the object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// The module whose matrix [rows, columns] a checkpoint of Hugging Face's names has under NAME.weight, for all names
/// that end with one of `targets`. `transposed`: matrices are stored [columns, rows]. `prefix` stands before the names.
std::vector<AdapterModule> modules_of(const std::filesystem::path& model, const std::vector<std::string>& targets,
                                      int64_t rank, bool transposed = false, const std::string& prefix = {});

/// adapter_config.json of an adapter that trained `targets`.
Json adapter_config(const std::vector<std::string>& targets, int64_t rank, double alpha);
/// Random matrices, the same for the same seed, large enough to change every answer.
std::vector<StoredTensor> adapter_tensors(const std::vector<AdapterModule>& modules, unsigned seed);
/// The same tensors of F16 or BF16.
std::vector<StoredTensor> narrowed(std::vector<StoredTensor> tensors, const std::string& dtype);
/// Writes an adapter's folder as PEFT does.
void write_adapter(const std::filesystem::path& folder, const Json& config, const std::vector<StoredTensor>& tensors);

}  // namespace longship::testing
