#pragma once

#include <string>
#include <vector>

#include "launcher/generate/model_text.h"
#include "launcher/generate/prompt_text.h"
#include "launcher/server/fields.h"

namespace longship {

/// Makes the prompt of a chat: its messages, checked and guarded, through the model's template. Immutable; any thread
/// may use it.
class ChatPrompt {
 public:
  /// `model` outlives this.
  explicit ChatPrompt(const ModelText& model) : model_(model), prompt_text_(model.tokenizer) {}

  /// The tokens of a body's chat up to where the reply begins, or goes on (continue_final_message). Errors: ApiError.
  std::vector<int32_t> tokens(const Fields& fields) const;
  /// The text of a chat's last message if it is the assistant's; empty otherwise.
  std::string begun_reply(const Fields& fields) const;

 private:
  Json::Array messages(const Fields& fields) const;
  Json template_variables(const Fields& fields) const;
  Json guard(const Json& value) const;

  const ModelText& model_;
  PromptText prompt_text_;
};

}  // namespace longship
