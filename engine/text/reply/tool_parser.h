#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/reply/call_reader.h"
#include "engine/text/reply/reply_event.h"
#include "engine/text/reply/reply_format.h"

namespace longship {

/// How calls stand in a reply; empty texts are not there.
struct CallSyntax {
  std::string_view open;       ///< Stands before a call, or before a list of calls.
  std::string_view separator;  ///< Between calls,
  std::string_view close;      ///< and after the last; may be missing.
  bool bare = false;   ///< The reply may begin with a call of a known function, without `open`, maybe as a block
                       ///< of code.
  bool lists = false;  ///< [call, call] or NAME[ARGS]{...} may stand after `open`.
};

/// Finds calls in the text of a reply as it comes. What is no call, or only looks like one, is content, with nothing
/// lost but white space beside calls. A call that breaks off after it has begun ends there; what follows is content.
/// One a reply; not synchronised.
class ToolParser {
 public:
  ToolParser(ToolFormat format, std::vector<std::string> functions);

  void push(std::string_view text, ReplyEvents& events);
  void finish(ReplyEvents& events);

 private:
  enum class State : uint8_t { kContent, kOpened, kCall, kAfter };

  bool step(ReplyEvents& events);
  bool read_content(ReplyEvents& events);
  bool read_opened(ReplyEvents& events);
  bool read_call(ReplyEvents& events);
  bool read_after();
  void begin_call(CallReader::Shape shape);
  bool ends_calls(std::string_view text) const;
  void give_up(ReplyEvents& events);
  void take(std::size_t bytes);
  std::string_view separator() const { return in_list_ ? "," : syntax_.separator; }
  std::string_view close() const { return fenced_ ? "```" : (in_list_ ? "]" : syntax_.close); }

  CallSyntax syntax_;
  std::vector<std::string> functions_;
  State state_ = State::kContent;
  std::string held_;  ///< Not read yet.
  std::string read_;  ///< Of what may be a call: content after all, if it is not.
  std::optional<CallReader> reader_;
  bool at_start_ = true;     ///< Nothing but white space came.
  bool after_call_ = false;  ///< Nothing but white space came since.
  bool marked_ = false;      ///< The call stands behind `open`.
  bool in_list_ = false;
  bool fenced_ = false;  ///< The calls stand in a block of code.
};

}  // namespace longship
