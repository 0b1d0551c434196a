#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "parallel/shard.h"

namespace longship {

/// Which layers of a model with a sliding window have it, where "layer_types" of a config.json does not say.
enum class SlidingLayers : uint8_t {
  kNone,
  kAll,
  kFromMaxWindowLayers,  ///< Those from "max_window_layers" on, if "use_sliding_window" is true.
};

/// What an architecture's own code says and its configuration files do not. This is the one list of architectures;
/// where their tensors are is said by a family of engine/models.
struct ArchitectureFacts {
  std::string_view name;         ///< ModelConfig::architecture, and "general.architecture" of a GGUF file.
  std::string_view model_class;  ///< In "architectures" of a config.json.
  bool in_gguf = true;           ///< False where GGUF files say another name (Mistral's say "llama").
  bool is_gpt2_like = false;     ///< Learned positions, LayerNorm, GELU, and configurations in GPT-2's words.
  bool has_qkv_bias = false;     ///< On q, k and v alone, whatever "attention_bias" says.
  bool has_qk_norm = false;
  SlidingLayers sliding = SlidingLayers::kNone;
  RowOrder gguf_rotary_rows = RowOrder::kAsStored;  ///< Converters to GGUF pair neighbouring rows of some.
};

/// The architecture of a GGUF file, or of a class of transformers; null if it is not known.
const ArchitectureFacts* gguf_architecture(std::string_view name);
const ArchitectureFacts* hf_architecture(std::string_view model_class);

/// That of the two functions above the one with this name found nothing, and what they know.
std::string unknown_gguf_architecture(std::string_view name);
std::string unknown_hf_architecture(std::string_view model_class);

}  // namespace longship
