#include "engine/text/reply/reply_parser.h"

namespace longship {

ReplyParser::ReplyParser(const ReplyFormat& format, bool reasoning_open, std::vector<std::string> functions) {
  if (format.reasoning != ReasoningFormat::kNone) {
    reasoning_.emplace(reasoning_marks(format.reasoning), reasoning_open);
  }
  if (format.tools != ToolFormat::kNone) {
    tools_.emplace(format.tools, std::move(functions));
  }
}

ReplyEvents ReplyParser::push(std::string_view text) {
  ReplyEvents events;
  if (reasoning_) {
    say(reasoning_->push(text, events), events);
  } else {
    say(text, events);
  }
  return events;
}

ReplyEvents ReplyParser::finish() {
  ReplyEvents events;
  if (reasoning_) {
    say(reasoning_->finish(events), events);
  }
  if (tools_) {
    tools_->finish(events);
  }
  return events;
}

// What stands outside the reasoning.
void ReplyParser::say(std::string_view text, ReplyEvents& events) {
  if (tools_) {
    tools_->push(text, events);
  } else {
    add_text(events, ReplyEvent::Kind::kContent, text);
  }
}

}  // namespace longship
