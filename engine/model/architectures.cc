#include "engine/model/architectures.h"

#include <algorithm>
#include <array>

namespace longship {

namespace {

constexpr std::array kArchitectures = {
    ArchitectureFacts{.name = "llama", .model_class = "LlamaForCausalLM", .gguf_rotary_rows = RowOrder::kRotaryPairs},
    ArchitectureFacts{
        .name = "mistral", .model_class = "MistralForCausalLM", .in_gguf = false, .sliding = SlidingLayers::kAll},
    ArchitectureFacts{.name = "qwen2",
                      .model_class = "Qwen2ForCausalLM",
                      .has_qkv_bias = true,
                      .sliding = SlidingLayers::kFromMaxWindowLayers},
    ArchitectureFacts{.name = "qwen3",
                      .model_class = "Qwen3ForCausalLM",
                      .has_qk_norm = true,
                      .sliding = SlidingLayers::kFromMaxWindowLayers},
    ArchitectureFacts{.name = "gpt2", .model_class = "GPT2LMHeadModel", .is_gpt2_like = true},
};

template <class Matches>
const ArchitectureFacts* find(const Matches& matches) {
  const auto* found = std::find_if(kArchitectures.begin(), kArchitectures.end(), matches);
  return found == kArchitectures.end() ? nullptr : &*found;
}

}  // namespace

const ArchitectureFacts* gguf_architecture(std::string_view name) {
  return find([&](const ArchitectureFacts& facts) { return facts.in_gguf && facts.name == name; });
}

const ArchitectureFacts* hf_architecture(std::string_view model_class) {
  return find([&](const ArchitectureFacts& facts) { return facts.model_class == model_class; });
}

}  // namespace longship
