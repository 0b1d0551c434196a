#pragma once

#include "engine/model/family.h"

namespace longship {

/// The family of an architecture. Errors: kModelFile naming it and those that are known.
const ModelFamily& family_of(const ModelConfig& config);

// Llama's names, which other families use as well.
EdgeNames llama_edges(const ModelConfig& config, const WeightSource& source);
BlockNames llama_block(const ModelConfig& config, const WeightSource& source, int64_t layer);

}  // namespace longship
