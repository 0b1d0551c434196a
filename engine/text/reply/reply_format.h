#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace longship {

/// How a model writes calls of functions.
enum class ToolFormat : uint8_t {
  kNone,
  kHermes,   ///< <tool_call>{"name": ..., "arguments": {...}}</tool_call>
  kLlama3,   ///< {"name": ..., "parameters": {...}}, several apart by ;, the first maybe after <|python_tag|>
  kMistral,  ///< [TOOL_CALLS][{"name": ..., "arguments": {...}}] or [TOOL_CALLS]name[ARGS]{...}
};

/// How a model marks what it thinks before it answers.
enum class ReasoningFormat : uint8_t {
  kNone,
  kThink,    ///< <think>...</think>
  kMistral,  ///< [THINK]...[/THINK]
};

struct ReplyFormat {
  ToolFormat tools = ToolFormat::kNone;
  ReasoningFormat reasoning = ReasoningFormat::kNone;

  friend bool operator==(const ReplyFormat&, const ReplyFormat&) = default;
};

/// The marks around reasoning; empty for kNone.
struct ReasoningMarks {
  std::string_view open;
  std::string_view close;
};
ReasoningMarks reasoning_marks(ReasoningFormat format);

/// Texts that a parser of this format must see, although they may be special tokens of the model.
std::vector<std::string_view> marks_of(const ReplyFormat& format);

/// The formats that a chat template speaks: it is given a conversation with a call, and shows how it writes it.
/// `render` renders the template with the given variables and may throw Error: then there is no such format.
ReplyFormat find_reply_format(std::string_view source, const std::function<std::string(const Json&)>& render);

/// By the names of --tool-call-parser and --reasoning-parser; nothing for an unknown name.
std::optional<ToolFormat> tool_format_named(std::string_view name);
std::optional<ReasoningFormat> reasoning_format_named(std::string_view name);
/// The names that are known, for messages.
std::string tool_format_names();
std::string reasoning_format_names();

}  // namespace longship
