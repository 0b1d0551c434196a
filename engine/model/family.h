#pragma once

#include <span>
#include <string>
#include <string_view>

#include "engine/model/block.h"

namespace longship {

/// The tensors outside the layers.
struct EdgeNames {
  std::string embedding;  ///< Whole names for embeddings,
  std::string positions;  ///< read only if positions are learned,
  std::string head;       ///< and head, read only if it is not tied;
  std::string norm;       ///< without ".weight" and ".bias".
};

/// A family of architectures: which it has, and where its tensors are. The arithmetic is what engine/model has parts
/// for, as the configuration says.
struct ModelFamily {
  std::span<const std::string_view> architectures;
  EdgeNames (*edges)(const ModelConfig& config, const WeightSource& source);
  BlockNames (*block)(const ModelConfig& config, const WeightSource& source, int64_t layer);
  /// What Hugging Face calls the modules of a layer, whatever the checkpoint's names: adapters know them by that.
  BlockNames (*modules)(int64_t layer);
};

}  // namespace longship
