#include "engine/text/reply/reply_event.h"

namespace longship {

void add_text(ReplyEvents& events, ReplyEvent::Kind kind, std::string_view text) {
  if (text.empty()) {
    return;
  }
  if (!events.empty() && events.back().kind == kind) {
    events.back().text += text;
  } else {
    events.push_back({kind, std::string(text)});
  }
}

}  // namespace longship
