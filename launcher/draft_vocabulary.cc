#include "launcher/draft_vocabulary.h"

#include <algorithm>

#include "core/error.h"
#include "core/json.h"
#include "engine/text/tokenizer.h"

namespace longship {

namespace {

// Null for a model that has none, as one that was generated, or one of a kind that is not known: who needs it says so.
std::shared_ptr<const Tokenizer> tokenizer_of(const Checkpoint& checkpoint,
                                              std::span<const MetadataOverride> overrides) {
  try {
    return checkpoint.gguf ? Tokenizer::from_gguf(*checkpoint.gguf) : Tokenizer::load(checkpoint.path, overrides);
  } catch (const Error&) {
    return nullptr;
  }
}

bool is_text(const Tokenizer& tokenizer, int32_t id) {
  return !tokenizer.is_special(id) && !tokenizer.bytes_of(id).empty();
}

std::string quoted(const Tokenizer& tokenizer, int32_t id) {
  return dump_json(Json(tokenizer.decode({&id, 1}, false)));
}

}  // namespace

void check_draft_vocabulary(const Checkpoint& target, std::span<const MetadataOverride> target_overrides,
                            const Checkpoint& draft) {
  const auto wanted = tokenizer_of(target, target_overrides);
  const auto found = wanted == nullptr ? nullptr : tokenizer_of(draft, {});
  if (found == nullptr) {
    return;
  }
  const int32_t size = std::min(wanted->vocab_size(), found->vocab_size());
  for (int32_t id = 0; id < size; ++id) {
    if (is_text(*wanted, id) && is_text(*found, id) && wanted->bytes_of(id) != found->bytes_of(id)) {
      throw Error(ErrorKind::kUsage,
                  "the draft model has another vocabulary than the model: token " + std::to_string(id) + " is " +
                      quoted(*found, id) + " there, and " + quoted(*wanted, id) + " in the model",
                  "Use a draft model of the same family.");
    }
  }
}

}  // namespace longship
