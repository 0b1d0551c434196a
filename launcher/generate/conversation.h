#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "launcher/generate/prompt_text.h"

namespace longship {

/// A chat as tokens. Each turn's prompt begins with exactly the tokens that the turns before left in the engine, which
/// finds them in its cache. What users write is never read as special tokens.
class Conversation {
 public:
  /// Text of messages ({"role", "content"}) up to where the model's reply begins.
  using Render = std::function<std::string(const Json::Array& messages)>;

  Conversation(std::shared_ptr<const Tokenizer> tokenizer, Render render);

  /// Forgets all turns; an empty `system` means no system message.
  void reset(std::string system);
  const std::string& system() const { return system_; }

  /// Adds what the user says and gives the tokens to run. Errors: those of the template.
  std::vector<int32_t> ask(std::string_view text);
  /// Adds the reply to the last ask(): its text as shown and its tokens. `whole`: the tokens are that text.
  void answer(const std::string& text, const std::vector<int32_t>& ids, bool whole);

 private:
  void add_message(const char* role, std::string text);

  PromptText text_;
  Render render_;
  std::string system_;
  Json::Array messages_;
  std::string known_text_;  ///< Rendered text that known_ids_ stand for.
  std::vector<int32_t> known_ids_;
};

}  // namespace longship
