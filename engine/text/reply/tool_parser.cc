#include "engine/text/reply/tool_parser.h"

#include <algorithm>
#include <utility>

#include "engine/text/reply/marks.h"

namespace longship {

namespace {

// Small models write calls as they write code.
constexpr std::string_view kFence = "```json";

CallSyntax syntax_of(ToolFormat format) {
  switch (format) {
    case ToolFormat::kHermes:
      return {.open = "<tool_call>", .separator = "", .close = "</tool_call>", .bare = true};
    case ToolFormat::kLlama3:
      return {.open = "<|python_tag|>", .separator = ";", .close = "", .bare = true};
    case ToolFormat::kMistral:
      return {.open = "[TOOL_CALLS]", .separator = "", .close = "", .lists = true};
    default:
      return {};
  }
}

}  // namespace

ToolParser::ToolParser(ToolFormat format, std::vector<std::string> functions)
    : syntax_(syntax_of(format)), functions_(std::move(functions)) {}

void ToolParser::push(std::string_view text, ReplyEvents& events) {
  held_ += text;
  while (!held_.empty() && step(events)) {
  }
}

void ToolParser::finish(ReplyEvents& events) {
  const std::string rest = std::exchange(read_, {}) + std::exchange(held_, {});
  if (state_ == State::kCall && reader_->begun()) {
    events.push_back({ReplyEvent::Kind::kCallEnd, {}});
  } else if (!ends_calls(rest)) {
    add_text(events, ReplyEvent::Kind::kContent, rest);
  }
}

// Whether the last text of a reply only ends the calls before it.
bool ToolParser::ends_calls(std::string_view text) const {
  text.remove_prefix(std::min(text.size(), text.find_first_not_of(kJsonSpace)));
  const bool closes = state_ == State::kAfter && close().starts_with(text);
  const bool separates = state_ == State::kOpened && text == separator();
  return after_call_ && (text.empty() || closes || separates);
}

// Whether there may be another step.
bool ToolParser::step(ReplyEvents& events) {
  switch (state_) {
    case State::kContent:
      return read_content(events);
    case State::kOpened:
      return read_opened(events);
    case State::kCall:
      return read_call(events);
    default:
      return read_after();
  }
}

bool ToolParser::read_content(ReplyEvents& events) {
  const std::size_t first = held_.find_first_not_of(kJsonSpace);
  if (first == std::string::npos) {
    return false;
  }
  if (at_start_ && syntax_.bare) {
    const std::string_view rest = std::string_view(held_).substr(first);
    if (kFence.starts_with(rest) && rest != kFence) {
      return false;
    }
    fenced_ = rest.starts_with(kFence);
    if (fenced_ || rest.front() == '{') {
      take(first + (fenced_ ? kFence.size() : 0));
      at_start_ = false;
      state_ = State::kOpened;
      return true;
    }
  }
  const std::size_t open = held_.find(syntax_.open);
  const std::size_t end = open != std::string::npos ? open : held_.size() - begun_bytes(held_, syntax_.open);
  const std::string_view text = std::string_view(held_).substr(0, end);
  const std::size_t shown = text.find_last_not_of(kJsonSpace) + 1;
  add_text(events, ReplyEvent::Kind::kContent, text.substr(0, shown));
  at_start_ = at_start_ && shown == 0;
  after_call_ = after_call_ && shown == 0;
  held_.erase(0, shown);
  if (open == std::string::npos) {
    return false;
  }
  take(open - shown + syntax_.open.size());
  marked_ = true;
  in_list_ = false;
  fenced_ = false;
  state_ = State::kOpened;
  return true;
}

bool ToolParser::read_opened(ReplyEvents& events) {
  const char byte = held_.front();
  if (is_json_space(byte)) {
    take(1);
  } else if (syntax_.lists && !in_list_ && byte == '[') {
    take(1);
    in_list_ = true;
  } else if (syntax_.bare && held_.starts_with(syntax_.open)) {
    take(syntax_.open.size());
    marked_ = true;
  } else if (syntax_.bare && syntax_.open.starts_with(held_)) {
    return false;
  } else if (byte == '{') {
    begin_call(CallReader::Shape::kObject);
  } else if (syntax_.lists && !in_list_) {
    begin_call(CallReader::Shape::kHeaded);
  } else {
    give_up(events);
  }
  return true;
}

void ToolParser::begin_call(CallReader::Shape shape) {
  state_ = State::kCall;
  reader_.emplace(shape, marked_ ? std::nullopt : std::optional<CallReader::Functions>(functions_));
}

bool ToolParser::read_call(ReplyEvents& events) {
  for (std::size_t i = 0; i < held_.size(); ++i) {
    const CallReader::Step step = reader_->push(held_[i], events);
    if (step == CallReader::Step::kEnd) {
      held_.erase(0, i + 1);
      read_.clear();
      after_call_ = true;
      state_ = State::kAfter;
      return true;
    }
    if (step == CallReader::Step::kBad) {
      take(i);
      give_up(events);
      return true;
    }
  }
  take(held_.size());
  return false;
}

// This is no call: what was read of it is content, unless the client knows it already.
void ToolParser::give_up(ReplyEvents& events) {
  if (state_ == State::kCall && reader_->begun()) {
    events.push_back({ReplyEvent::Kind::kCallEnd, {}});
    read_.clear();
  }
  add_text(events, ReplyEvent::Kind::kContent, std::exchange(read_, {}));
  after_call_ = false;
  state_ = State::kContent;
}

bool ToolParser::read_after() {
  const std::size_t first = held_.find_first_not_of(kJsonSpace);
  if (first == std::string::npos) {
    return false;
  }
  const std::string_view rest = std::string_view(held_).substr(first);
  if (!close().empty() && rest.starts_with(close())) {
    held_.erase(0, first + close().size());
    state_ = State::kContent;
  } else if (!close().empty() && close().starts_with(rest)) {
    return false;
  } else if (!separator().empty() && rest.starts_with(separator())) {
    take(first + separator().size());
    state_ = State::kOpened;
  } else if (rest.front() == '{' && !syntax_.lists) {
    state_ = State::kOpened;
  } else {
    state_ = State::kContent;
  }
  return true;
}

void ToolParser::take(std::size_t bytes) {
  read_.append(held_, 0, bytes);
  held_.erase(0, bytes);
}

}  // namespace longship
