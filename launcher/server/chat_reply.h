#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"
#include "engine/text/reply/reply_parser.h"

namespace longship {

/// How the text of a chat's reply is read.
struct ReplyRules {
  ReplyFormat format{};                  ///< Without a format of calls none are looked for.
  bool reasoning_open = false;           ///< The prompt ends inside the reasoning.
  std::vector<std::string> functions{};  ///< That were offered.
  bool parallel = true;                  ///< False: only the first call is answered.
  bool only_calls = false;               ///< Other text is a call that was cut off, and no content.
};

/// The assistant's message of one choice as it grows: text of the model goes in, deltas of a stream come out, and the
/// message is what the deltas add up to. Not synchronised.
class ChatReply {
 public:
  explicit ChatReply(const ReplyRules& rules);

  Json::Array push(std::string_view text) { return take(parser_.push(text)); }
  /// When no more text comes.
  Json::Array finish() { return take(parser_.finish()); }

  Json message() const;
  bool has_calls() const { return !calls_.empty(); }
  bool in_reasoning() const { return parser_.in_reasoning(); }

 private:
  struct Call {
    std::string id;
    std::string name;
    std::string arguments;
  };

  Json::Array take(const ReplyEvents& events);
  Json delta(const ReplyEvent& event);
  Json begin_call(const std::string& name);
  Json::Array calls_delta(Json call) const;

  ReplyParser parser_;
  ToolFormat format_;
  bool parallel_;
  bool only_calls_;
  std::string content_;
  std::string reasoning_;
  std::vector<Call> calls_;
  bool hidden_ = false;  ///< The call that comes is not answered.
};

}  // namespace longship
