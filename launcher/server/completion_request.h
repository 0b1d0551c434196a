#pragma once

#include <string>
#include <vector>

#include "engine/engine.h"
#include "launcher/model_text.h"
#include "launcher/server/chat_prompt.h"

namespace longship {

/// A body of /v1/completions or /v1/chat/completions, checked.
struct CompletionRequest {
  struct Prompt {
    std::vector<int32_t> ids;
    std::string text;  ///< Of a prompt that came as text.
  };

  bool chat = false;
  std::vector<Prompt> prompts;
  GenerationRequest generation;  ///< All but the prompt.
  int64_t choices = 1;           ///< Of each prompt.
  std::vector<std::string> stops;
  bool stream = false;
  bool include_usage = false;
  bool echo = false;  ///< Repeat the prompt before the answer.
};

/// Reads bodies for one model. Immutable; any thread may use it.
class CompletionParser {
 public:
  /// `model` outlives this.
  CompletionParser(const ModelText& model, const EngineInfo& info, std::vector<std::string> served_names);

  /// Errors: ApiError, 400 with the field that is wrong, 404 for a model that is not served here.
  CompletionRequest parse(const Json& body, bool chat) const;
  /// The tokens of text, as /tokenize gives them: with what the tokenizer adds around a text, if wanted.
  std::vector<int32_t> encode(const std::string& text, bool add_special) const;
  const ChatPrompt& chat_prompt() const { return chat_prompt_; }

 private:
  void check_model(const Json& body) const;
  void check_length(const CompletionRequest& request) const;
  std::vector<CompletionRequest::Prompt> prompts(const Json& body) const;

  const ModelText& model_;
  EngineInfo info_;
  std::vector<std::string> served_names_;
  ChatPrompt chat_prompt_;
};

}  // namespace longship
