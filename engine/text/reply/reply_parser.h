#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/reply/reasoning_parser.h"
#include "engine/text/reply/reply_event.h"
#include "engine/text/reply/reply_format.h"
#include "engine/text/reply/tool_parser.h"

namespace longship {

/// Reads the text of a reply as it comes: reasoning, then content and calls. The events, texts of one kind joined, do
/// not depend on how the text is cut. One a reply; not synchronised.
class ReplyParser {
 public:
  /// `reasoning_open`: the prompt has opened the reasoning. `functions`: those that were offered.
  ReplyParser(const ReplyFormat& format, bool reasoning_open, std::vector<std::string> functions);

  ReplyEvents push(std::string_view text);
  ReplyEvents finish();
  bool in_reasoning() const { return reasoning_ && reasoning_->inside(); }

 private:
  void say(std::string_view text, ReplyEvents& events);

  std::optional<ReasoningParser> reasoning_;
  std::optional<ToolParser> tools_;
};

}  // namespace longship
