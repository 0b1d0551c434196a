// Llama 2 and 3, Mistral, SmolLM2: RMSNorm, rotary positions, grouped-query attention, gated SiLU.
#include "engine/models/families.h"

namespace longship {

EdgeNames llama_edges(const ModelConfig& config, const WeightSource&) {
  if (config.naming == Naming::kGguf) {
    return {.embedding = "token_embd.weight", .positions = {}, .head = "output.weight", .norm = "output_norm"};
  }
  return {.embedding = "model.embed_tokens.weight", .positions = {}, .head = "lm_head.weight", .norm = "model.norm"};
}

BlockNames llama_modules(int64_t layer) {
  const std::string layers = "model.layers." + std::to_string(layer) + ".";
  const std::string attn = layers + "self_attn.";
  const std::string mlp = layers + "mlp.";
  return {.attention_norm = layers + "input_layernorm",
          .attention = {.q = attn + "q_proj",
                        .k = attn + "k_proj",
                        .v = attn + "v_proj",
                        .out = attn + "o_proj",
                        .q_norm = attn + "q_norm",
                        .k_norm = attn + "k_norm"},
          .ffn_norm = layers + "post_attention_layernorm",
          .ffn = {.gate = mlp + "gate_proj", .up = mlp + "up_proj", .down = mlp + "down_proj"}};
}

BlockNames llama_block(const ModelConfig& config, const WeightSource&, int64_t layer) {
  if (config.naming == Naming::kGguf) {
    const std::string blk = "blk." + std::to_string(layer) + ".";
    return {.attention_norm = blk + "attn_norm",
            .attention = {.q = blk + "attn_q",
                          .k = blk + "attn_k",
                          .v = blk + "attn_v",
                          .out = blk + "attn_output",
                          .q_norm = blk + "attn_q_norm",
                          .k_norm = blk + "attn_k_norm"},
            .ffn_norm = blk + "ffn_norm",
            .ffn = {.gate = blk + "ffn_gate", .up = blk + "ffn_up", .down = blk + "ffn_down"}};
  }
  return llama_modules(layer);
}

namespace {
constexpr std::string_view kArchitectures[] = {"llama", "mistral"};
}  // namespace

extern const ModelFamily kLlama;
const ModelFamily kLlama = {kArchitectures, llama_edges, llama_block, llama_modules};

}  // namespace longship
