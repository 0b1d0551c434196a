// GPT-2 and models like it: learned positions, LayerNorm, GELU, biases everywhere, tied head. Hugging Face stores its
// matrices (in, out), with q, k and v in one; GGUF stores them (out, in).
#include "engine/models/families.h"

namespace longship {

namespace {

constexpr std::string_view kArchitectures[] = {"gpt2"};

// Some checkpoints name their tensors without the prefix of the head model.
std::string prefix(const WeightSource& source) {
  return source.find("transformer.wte.weight") != nullptr ? "transformer." : "";
}

EdgeNames edges(const ModelConfig& config, const WeightSource& source) {
  if (config.naming == Naming::kGguf) {
    return {.embedding = "token_embd.weight",
            .positions = "position_embd.weight",
            .head = "output.weight",
            .norm = "output_norm"};
  }
  const std::string root = prefix(source);
  return {.embedding = root + "wte.weight",
          .positions = root + "wpe.weight",
          .head = "lm_head.weight",
          .norm = root + "ln_f"};
}

BlockNames named(const std::string& root, int64_t layer) {
  const std::string h = root + "h." + std::to_string(layer) + ".";
  return {.attention_norm = h + "ln_1",
          .attention = {.q = h + "attn.c_attn",
                        .k = {},
                        .v = {},
                        .out = h + "attn.c_proj",
                        .q_norm = {},
                        .k_norm = {},
                        .fused = true,
                        .transposed = true},
          .ffn_norm = h + "ln_2",
          .ffn = {.gate = {}, .up = h + "mlp.c_fc", .down = h + "mlp.c_proj", .transposed = true}};
}

// An adapter is one of the head model.
BlockNames modules(int64_t layer) {
  return named("transformer.", layer);
}

BlockNames block(const ModelConfig& config, const WeightSource& source, int64_t layer) {
  if (config.naming == Naming::kGguf) {
    const std::string blk = "blk." + std::to_string(layer) + ".";
    return {.attention_norm = blk + "attn_norm",
            .attention = {.q = blk + "attn_qkv",
                          .k = {},
                          .v = {},
                          .out = blk + "attn_output",
                          .q_norm = {},
                          .k_norm = {},
                          .fused = true},
            .ffn_norm = blk + "ffn_norm",
            .ffn = {.gate = {}, .up = blk + "ffn_up", .down = blk + "ffn_down"}};
  }
  return named(prefix(source), layer);
}

}  // namespace

extern const ModelFamily kGpt2;
const ModelFamily kGpt2 = {kArchitectures, edges, block, modules};

}  // namespace longship
