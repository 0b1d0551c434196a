#include "engine/text/reply/reasoning_parser.h"

#include <algorithm>
#include <utility>

#include "engine/text/reply/json_scanner.h"
#include "engine/text/reply/marks.h"

namespace longship {

ReasoningParser::ReasoningParser(ReasoningMarks marks, bool inside)
    : marks_(marks), state_(inside ? State::kInside : State::kStart) {}

std::string ReasoningParser::push(std::string_view text, ReplyEvents& events) {
  held_ += text;
  while (step(events)) {
  }
  return state_ == State::kOver ? std::exchange(held_, {}) : std::string();
}

std::string ReasoningParser::finish(ReplyEvents& events) {
  std::string rest = std::exchange(held_, {});
  if (state_ != State::kInside) {
    return state_ == State::kAfter ? std::string() : rest;
  }
  rest.erase(rest.find_last_not_of(kJsonSpace) + 1);
  add_text(events, ReplyEvent::Kind::kReasoning, rest);
  return {};
}

// Whether there may be another step.
bool ReasoningParser::step(ReplyEvents& events) {
  switch (state_) {
    case State::kStart:
      return read_start();
    case State::kInside:
      return read_inside(events);
    case State::kAfter:
      if (skip_space()) {
        state_ = State::kOver;
      }
      return false;
    default:
      return false;
  }
}

bool ReasoningParser::read_start() {
  const std::size_t first = held_.find_first_not_of(kJsonSpace);
  if (first == std::string::npos) {
    return false;
  }
  const std::string_view rest = std::string_view(held_).substr(first);
  if (rest.starts_with(marks_.open)) {
    held_.erase(0, first + marks_.open.size());
    state_ = State::kInside;
    return true;
  }
  if (!marks_.open.starts_with(rest)) {
    state_ = State::kOver;
  }
  return false;
}

bool ReasoningParser::read_inside(ReplyEvents& events) {
  if (!shown_ && !skip_opening()) {
    return false;
  }
  const std::size_t close = held_.find(marks_.close);
  const std::size_t end = close != std::string::npos ? close : held_.size() - begun_bytes(held_, marks_.close);
  const std::string_view text = std::string_view(held_).substr(0, end);
  const std::size_t shown = text.find_last_not_of(kJsonSpace) + 1;
  add_text(events, ReplyEvent::Kind::kReasoning, text.substr(0, shown));
  shown_ = shown_ || shown > 0;
  if (close == std::string::npos) {
    held_.erase(0, shown);
    return false;
  }
  held_.erase(0, close + marks_.close.size());
  state_ = State::kAfter;
  return true;
}

// Skips what comes before the reasoning: white space, and the mark from a model that repeats it. Whether the reasoning
// has begun.
bool ReasoningParser::skip_opening() {
  while (skip_space() && held_.starts_with(marks_.open)) {
    held_.erase(0, marks_.open.size());
  }
  return !held_.empty() && !marks_.open.starts_with(held_);
}

// Whether text follows the white space.
bool ReasoningParser::skip_space() {
  held_.erase(0, std::min(held_.size(), held_.find_first_not_of(kJsonSpace)));
  return !held_.empty();
}

}  // namespace longship
