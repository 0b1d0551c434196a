#pragma once

#include "engine/model/family.h"

namespace longship {

/// The family of an architecture. Errors: kModelFile naming it and those that are known.
const ModelFamily& family_of(const ModelConfig& config);

/// Declares every layer, embedding and head without a device, and so checks that each tensor is there with its shape.
/// Errors: kModelFile.
void check_model(const ModelConfig& config, WeightSource& weights);

// Llama's names, which other families use as well.
EdgeNames llama_edges(const ModelConfig& config, const WeightSource& source);
BlockNames llama_block(const ModelConfig& config, const WeightSource& source, int64_t layer);
BlockNames llama_modules(int64_t layer);

}  // namespace longship
