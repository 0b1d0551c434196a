#include "engine/model/checkpoint.h"

#include <algorithm>

#include "core/error.h"
#include "engine/model/config_parse.h"
#include "engine/weights/sources.h"
#include "engine/weights/synthetic.h"

namespace longship {

namespace {

constexpr const char* kGiveModel =
    "Give the path of a GGUF file, or of a folder with config.json and safetensors; models are not downloaded.";

bool is_file(const std::filesystem::path& path) {
  return std::filesystem::is_regular_file(path);
}

std::shared_ptr<WeightSource> open_folder_weights(const std::filesystem::path& folder) {
  if (is_file(folder / "model.safetensors.index.json")) {
    return open_safetensors_index(folder / "model.safetensors.index.json");
  }
  if (is_file(folder / "model.safetensors")) {
    return open_safetensors(folder / "model.safetensors");
  }
  throw Error(ErrorKind::kModelFile,
              folder.string() + ": has neither model.safetensors nor model.safetensors.index.json", kGiveModel);
}

// Adapters are often taken for models, and names of models on a hub for paths.
void check_path(const std::filesystem::path& path) {
  std::error_code unknown;
  if (!std::filesystem::exists(path, unknown)) {
    throw Error(ErrorKind::kModelFile,
                path.string() + ": " + (unknown ? unknown.message() : "there is no such file or folder"), kGiveModel);
  }
  if (!std::filesystem::is_directory(path) || is_file(path / "config.json")) {
    return;
  }
  if (is_file(path / "adapter_config.json")) {
    throw Error(
        ErrorKind::kModelFile, path.string() + " is an adapter, which is no model by itself",
        "Give the model that it was trained on, and this folder by --lora-modules NAME=PATH (run: --lora PATH).");
  }
  throw Error(ErrorKind::kModelFile, "the folder " + path.string() + " has no config.json", kGiveModel);
}

bool has_quantised_matrix(const WeightSource& weights) {
  const auto tensors = weights.tensors();
  return std::any_of(tensors.begin(), tensors.end(),
                     [](const SourceTensor& t) { return t.shape.size() == 2 && is_block_quantised(t.dtype); });
}

}  // namespace

Checkpoint open_checkpoint(const std::filesystem::path& path, std::span<const MetadataOverride> overrides) {
  check_path(path);
  Checkpoint checkpoint{.path = path, .config = {}, .weights = nullptr, .gguf = nullptr};
  if (std::filesystem::is_directory(path)) {
    checkpoint.config = parse_hf_config(path / "config.json");
    checkpoint.weights = open_folder_weights(path);
  } else {
    checkpoint.gguf = GgufFile::open(path, overrides);
    checkpoint.config = parse_gguf_config(*checkpoint.gguf);
    checkpoint.weights = open_gguf_weights(checkpoint.gguf);
  }
  checkpoint.config.block_quantised = has_quantised_matrix(*checkpoint.weights);
  return checkpoint;
}

Checkpoint open_synthetic(const std::filesystem::path& config, DType matrices) {
  const std::filesystem::path file = std::filesystem::is_directory(config) ? config / "config.json" : config;
  Checkpoint checkpoint{.path = config, .config = parse_hf_config(file), .weights = nullptr, .gguf = nullptr};
  checkpoint.config.block_quantised = is_block_quantised(matrices);
  checkpoint.weights = std::make_shared<SyntheticWeights>(config.string(), matrices);
  return checkpoint;
}

}  // namespace longship
