#include "launcher/model_text.h"

#include <algorithm>

namespace longship {

namespace {

// Tokens that end a turn in the chat formats of the supported families; some checkpoints do not list them as end
// tokens.
constexpr const char* kTurnEnds[] = {"<|im_end|>", "<|eot_id|>", "<|end_of_text|>", "<|endoftext|>", "<|end|>"};

void add_turn_ends(const Tokenizer& tokenizer, std::vector<int32_t>& ids) {
  for (const char* text : kTurnEnds) {
    const std::optional<int32_t> id = tokenizer.find(text);
    if (id && tokenizer.is_special(*id) && std::find(ids.begin(), ids.end(), *id) == ids.end()) {
      ids.push_back(*id);
    }
  }
}

}  // namespace

ModelText load_model_text(const std::filesystem::path& model, std::span<const MetadataOverride> overrides) {
  const Checkpoint checkpoint = open_checkpoint(model, overrides);
  ModelText text;
  text.tokenizer = checkpoint.gguf ? Tokenizer::from_gguf(*checkpoint.gguf) : Tokenizer::load(model, overrides);
  text.stop_ids = checkpoint.config.eos_ids;
  add_turn_ends(*text.tokenizer, text.stop_ids);
  return text;
}

}  // namespace longship
