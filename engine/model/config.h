#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/dtype.h"
#include "parallel/shard.h"

namespace longship {

/// Whose names a checkpoint's tensors have.
enum class Naming : uint8_t { kHuggingFace, kGguf };

enum class NormKind : uint8_t { kRms, kLayer };
enum class Activation : uint8_t { kSilu, kGeluTanh };

/// How rotary frequencies are stretched beyond the trained length. Formulas: transformers modeling_rope_utils
/// (linear, llama3) and YaRN, arXiv 2309.00071 section 3.
struct RopeScaling {
  enum class Kind : uint8_t { kNone, kLinear, kLlama3, kYarn };

  Kind kind = Kind::kNone;
  double factor = 1.0;
  int64_t original_max_positions = 0;
  double low_freq_factor = 1.0;   ///< llama3
  double high_freq_factor = 4.0;  ///< llama3
  double beta_fast = 32.0;        ///< yarn
  double beta_slow = 1.0;         ///< yarn
  double attention_factor = 0.0;  ///< yarn: factor on cos and sin; 0: 0.1 ln(factor) + 1
  bool truncate = true;           ///< yarn: whole-numbered correction range
  std::string divisors;           ///< GGUF: tensor by which the frequencies are divided; empty: none
};

/// What a checkpoint says about its model, in one form whatever file it came from. Immutable after parsing;
/// every number was checked (positive, products fit, heads a multiple of kv_heads).
struct ModelConfig {
  std::string architecture;  ///< "llama", "mistral", "qwen2", "qwen3", "gpt2", ...
  Naming naming = Naming::kHuggingFace;

  int64_t layers = 0;    // L
  int64_t width = 0;     // D
  int64_t heads = 0;     // H
  int64_t kv_heads = 0;  // Hkv
  int64_t head_dim = 0;  // Dh
  int64_t ffn = 0;       // F
  int64_t vocab = 0;     // V: rows of the embedding
  int64_t max_positions = 0;

  NormKind norm = NormKind::kRms;
  double norm_eps = 1e-5;
  Activation activation = Activation::kSilu;
  bool gated_ffn = true;
  bool learned_positions = false;
  double rope_theta = 10000.0;
  RopeScaling rope_scaling;
  RowOrder rotary_rows = RowOrder::kAsStored;  ///< How q and k rows stand in the file.
  bool qkv_bias = false;
  bool attention_output_bias = false;
  bool ffn_bias = false;
  bool qk_norm = false;
  bool tied_head = false;
  std::vector<int64_t> windows;  ///< Per layer: keys that a token sees, itself included; 0: all.

  bool block_quantised = false;  ///< Whether any matrix of the checkpoint is stored in a block-quantised type.

  std::vector<int32_t> eos_ids;  ///< Tokens that end a generation.

  int64_t query_width() const { return heads * head_dim; }
  int64_t kv_width() const { return kv_heads * head_dim; }
};

}  // namespace longship
