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

// Names from files may have any length.
std::string unknown(std::string_view name, std::string_view (*known_name)(const ArchitectureFacts&)) {
  constexpr std::size_t kMostShown = 64;
  std::string known;
  for (const ArchitectureFacts& facts : kArchitectures) {
    if (const std::string_view one = known_name(facts); !one.empty()) {
      known += (known.empty() ? "" : ", ") + std::string(one);
    }
  }
  return "the architecture " + std::string(name.substr(0, kMostShown)) + " is not supported (there are " + known + ")";
}

}  // namespace

const ArchitectureFacts* gguf_architecture(std::string_view name) {
  return find([&](const ArchitectureFacts& facts) { return facts.in_gguf && facts.name == name; });
}

const ArchitectureFacts* hf_architecture(std::string_view model_class) {
  return find([&](const ArchitectureFacts& facts) { return facts.model_class == model_class; });
}

std::string unknown_gguf_architecture(std::string_view name) {
  return unknown(name, [](const ArchitectureFacts& facts) { return facts.in_gguf ? facts.name : ""; });
}

std::string unknown_hf_architecture(std::string_view model_class) {
  return unknown(model_class, [](const ArchitectureFacts& facts) { return facts.model_class; });
}

}  // namespace longship
