#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/json.h"
#include "engine/model/checkpoint.h"
#include "engine/text/reply/reply_format.h"
#include "engine/text/tokenizer.h"

namespace longship {

/// Text of a chat: the template with these variables (messages, add_generation_prompt, ...). Errors: the template's.
using RenderChat = std::function<std::string(const Json& variables)>;

/// The text side of a model: what a front end needs besides the engine.
struct ModelText {
  std::shared_ptr<const Tokenizer> tokenizer;
  std::vector<int32_t> stop_ids;  ///< The checkpoint's end tokens and the usual ends of a turn.
  RenderChat render;              ///< Its chat template, or the one that it has for tools; empty if it has none.
  ReplyFormat reply_format{};     ///< How it answers, as its template tells.
};

/// Opens tokenizer, configuration and, if wanted, the template; reads no weights. `own_template`, a file or the
/// template itself, stands in for the model's. Errors: kModelFile; kUsage for `own_template`.
ModelText load_model_text(const std::filesystem::path& model, std::span<const MetadataOverride> overrides,
                          bool with_template, const std::string& own_template = {});

}  // namespace longship
