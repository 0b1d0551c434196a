#pragma once

#include <string>
#include <string_view>

#include "engine/text/reply/reply_event.h"
#include "engine/text/reply/reply_format.h"

namespace longship {

/// Parts what a model thinks from what it says after it. Reasoning stands at the beginning of a reply or nowhere; white
/// space around it is dropped. One a reply; not synchronised.
class ReasoningParser {
 public:
  /// `inside`: the prompt has opened the reasoning.
  ReasoningParser(ReasoningMarks marks, bool inside);

  /// Adds reasoning to the events; returns what follows it.
  std::string push(std::string_view text, ReplyEvents& events);
  std::string finish(ReplyEvents& events);
  bool inside() const { return state_ == State::kInside; }

 private:
  enum class State : uint8_t { kStart, kInside, kAfter, kOver };

  bool step(ReplyEvents& events);
  bool read_start();
  bool read_inside(ReplyEvents& events);
  bool skip_opening();
  bool skip_space();

  ReasoningMarks marks_;
  State state_;
  bool shown_ = false;  ///< Some reasoning.
  std::string held_;
};

}  // namespace longship
