#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace longship {

/// A piece of what a reply says. A call is one kCallBegin, pieces of its arguments, one kCallEnd; calls follow each
/// other.
struct ReplyEvent {
  enum class Kind : uint8_t { kContent, kReasoning, kCallBegin, kArguments, kCallEnd };

  Kind kind = Kind::kContent;
  std::string text;  ///< kCallBegin: the function's name. kArguments: JSON text. kCallEnd: empty.

  friend bool operator==(const ReplyEvent&, const ReplyEvent&) = default;
};

using ReplyEvents = std::vector<ReplyEvent>;

/// Appends an event; text goes on in the last event where that is of the same kind. No text: no event.
void add_text(ReplyEvents& events, ReplyEvent::Kind kind, std::string_view text);

}  // namespace longship
