#pragma once

#include <filesystem>
#include <memory>

#include "engine/weights/gguf.h"
#include "engine/weights/weight_source.h"

namespace longship {

/// The tensors of an open GGUF file; those of a type that we do not load are errors when asked for.
std::shared_ptr<WeightSource> open_gguf_weights(std::shared_ptr<const GgufFile> file);

/// A safetensors file, checked as the format description says (huggingface/safetensors, README "Format"): no
/// duplicate names, no holes, no overlaps, no bytes left over. Errors: kModelFile.
std::shared_ptr<WeightSource> open_safetensors(const std::filesystem::path& path);

/// A sharded checkpoint by its model.safetensors.index.json: every shard is checked, every tensor of the index must be
/// in the shard that it names, and shards are files beside the index. Errors: kModelFile.
std::shared_ptr<WeightSource> open_safetensors_index(const std::filesystem::path& path);

}  // namespace longship
