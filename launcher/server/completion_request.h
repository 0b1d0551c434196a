#pragma once

#include <string>
#include <vector>

#include "engine/engine.h"
#include "launcher/generate/model_text.h"
#include "launcher/server/chat_prompt.h"
#include "launcher/server/chat_reply.h"
#include "launcher/server/choice.h"
#include "launcher/server/tool_use.h"

namespace longship {

/// A body of /v1/completions or /v1/chat/completions, checked.
struct CompletionRequest {
  struct Prompt {
    std::vector<int32_t> ids;
    std::string text;            ///< That an echo repeats.
    bool shows_special = false;  ///< The text has the special tokens among the ids: those that the client gave as ids.
  };

  bool chat = false;
  std::string model;  ///< That the answer carries: the adapter's name; empty: the server's usual one.
  std::vector<Prompt> prompts;
  GenerationRequest generation;         ///< All but the prompt.
  std::vector<int32_t> stop_token_ids;  ///< Those that the client named.
  TextRules text;
  ReplyRules reply;                                      ///< Of a chat.
  ToolUse::Choice tool_choice = ToolUse::Choice::kNone;  ///< Of a chat.
  std::size_t choices = 1;                               ///< Of each prompt.
  std::size_t candidates = 1;                            ///< Of each prompt, of which the best are the choices.
  bool stream = false;
  bool include_usage = false;
  bool continuous_usage = false;  ///< In every chunk.
  bool echo = false;              ///< Repeat the prompt before the answer.
  bool prompt_logprobs = false;   ///< Are told beside the choices.
  bool tokens_as_ids = false;     ///< In logprobs.
  bool token_ids = false;         ///< Are told, those of the prompt too.

  /// The prompt's logprobs stand before those of the answer.
  bool echo_logprobs() const { return echo && !chat && text.keep_rows; }
};

/// Reads bodies for one model. Immutable; any thread may use it.
class CompletionParser {
 public:
  /// `model` outlives this. `seed`: that of requests which name none; else random. `adapters`: names of the engine's
  /// adapters, in its order.
  CompletionParser(const ModelText& model, const EngineInfo& info, std::vector<std::string> served_names,
                   std::optional<uint64_t> seed = std::nullopt, std::vector<std::string> adapters = {});

  /// Errors: ApiError, 400 with the field that is wrong, 404 for a model that is not served here.
  CompletionRequest parse(const Fields& fields, bool chat) const;
  /// The tokens of text, as /tokenize gives them: with what the tokenizer adds around a text, if wanted.
  std::vector<int32_t> encode(const std::string& text, bool add_special) const;
  const ChatPrompt& chat_prompt() const { return chat_prompt_; }
  /// Errors: ApiError, 404 for a body that names a model which is not served here.
  void check_model(const Fields& fields) const { adapter_of(fields); }
  /// Which adapter is meant by the name of a model, as GenerationRequest says it. Errors: as of check_model().
  int32_t adapter_named(const std::string& model) const;

 private:
  int32_t adapter_of(const Fields& fields) const;
  void check_length(const CompletionRequest& request) const;
  void read_prompt_logprobs(const Fields& fields, CompletionRequest& request) const;
  std::vector<CompletionRequest::Prompt> prompts(const Fields& fields) const;
  void read_reply(const Fields& fields, CompletionRequest& request) const;
  void read_reasoning(CompletionRequest& request) const;
  bool ends_with_mark(const std::vector<int32_t>& prompt, std::string_view mark) const;
  void truncate(const Fields& fields, CompletionRequest& request) const;

  const ModelText& model_;
  EngineInfo info_;
  std::vector<std::string> served_names_;
  std::vector<std::string> adapters_;
  std::optional<uint64_t> seed_;
  ChatPrompt chat_prompt_;
};

}  // namespace longship
