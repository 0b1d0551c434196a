#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "engine/model/config.h"
#include "engine/weights/gguf.h"
#include "engine/weights/weight_source.h"

namespace longship {

/// An opened model: a GGUF file or a Hugging Face folder.
struct Checkpoint {
  std::filesystem::path path;
  ModelConfig config;
  std::shared_ptr<WeightSource> weights;
  std::shared_ptr<const GgufFile> gguf;  ///< Null for a folder.
};

/// Opens and checks headers and configuration; reads no weights. Errors: kModelFile.
/// Adapters alone, mixtures of experts and unknown architectures or tensor types are refused, naming the type or key.
Checkpoint open_checkpoint(const std::filesystem::path& path, std::span<const MetadataOverride> overrides = {});

/// A model of the shape that a config.json (or the folder that has one) states, with generated weights: matrices of
/// `matrices`, vectors of F32. Errors: kModelFile.
Checkpoint open_synthetic(const std::filesystem::path& config, DType matrices);

}  // namespace longship
