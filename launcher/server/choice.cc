#include "launcher/server/choice.h"

namespace longship {

std::string Choice::push(const EngineEvent& event, bool with_logprobs) {
  ++tokens_;
  if (with_logprobs) {
    rows_.push_back({event.token, event.logprob, event.top_logprobs, text_bytes_});
  }
  text_bytes_ += static_cast<int64_t>(tokenizer_->bytes_of(event.token).size());
  return stops_.push(detokenizer_.push(event.token));
}

std::string Choice::flush() {
  std::string text = stops_.push(detokenizer_.flush());
  return text + stops_.flush();
}

}  // namespace longship
