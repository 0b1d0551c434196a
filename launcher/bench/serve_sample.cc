#include "launcher/bench/serve_sample.h"

#include "core/json.h"

namespace longship {

namespace {

constexpr int kOk = 200;
constexpr std::size_t kMostLine = std::size_t{16} << 20U;

// Errors have the API's shape, or llama.cpp's, or none.
std::string message_of(const std::string& body) {
  const auto parsed = parse_json(body, {.unique_keys = false});
  const Json* json = std::get_if<Json>(&parsed);
  const Json* error = json == nullptr ? nullptr : json->find("error");
  const Json* message = error == nullptr ? nullptr : error->find("message");
  constexpr std::size_t kMostShown = 300;
  return message != nullptr && message->is_string() ? message->as_string() : body.substr(0, kMostShown);
}

bool has_text(const Json* holder, const char* key) {
  const Json* text = holder == nullptr ? nullptr : holder->find(key);
  return text != nullptr &&
         ((text->is_string() && !text->as_string().empty()) || (text->is_array() && !text->as_array().empty()));
}

// Whether a chunk carries something that was generated. A role or a reason to finish alone is no token.
bool has_content(const Json& choice) {
  const Json* delta = choice.find("delta");
  return has_text(&choice, "text") || has_text(delta, "content") || has_text(delta, "reasoning_content") ||
         has_text(delta, "tool_calls");
}

}  // namespace

void AnswerReader::read(int status, std::string_view bytes, double now_s) {
  status_ = status;
  if (status != kOk) {
    unread_ += bytes.substr(0, kMostLine - std::min(kMostLine, unread_.size()));
    return;
  }
  unread_ += bytes;
  std::size_t begin = 0;
  for (std::size_t end = 0; (end = unread_.find('\n', begin)) != std::string::npos; begin = end + 1) {
    read_line(std::string_view(unread_).substr(begin, end - begin), now_s);
  }
  unread_.erase(0, begin);
  if (unread_.size() > kMostLine) {
    note_error("the server sent a line of more than 16 MiB");
    unread_.clear();
  }
}

void AnswerReader::read_line(std::string_view line, double now_s) {
  constexpr std::string_view kData = "data:";
  if (line.ends_with('\r')) {
    line.remove_suffix(1);
  }
  if (!line.starts_with(kData)) {  // an empty line, a comment, another field
    return;
  }
  line.remove_prefix(kData.size());
  if (line.starts_with(' ')) {
    line.remove_prefix(1);
  }
  if (line == "[DONE]") {
    done_ = true;
  } else {
    read_event(line, now_s);
  }
}

void AnswerReader::read_event(std::string_view event, double now_s) {
  const auto parsed = parse_json(event, {.unique_keys = false});
  const Json* json = std::get_if<Json>(&parsed);
  if (json == nullptr) {
    note_error("the server sent an event that is not JSON: " + std::string(event.substr(0, 100)));
    return;
  }
  if (json->find("error") != nullptr) {
    note_error(message_of(std::string(event)));
    return;
  }
  if (const Json* choices = json->find("choices"); choices != nullptr && choices->is_array()) {
    for (const Json& choice : choices->as_array()) {
      if (has_content(choice)) {
        note_text(now_s);
      }
    }
  }
  if (const Json* usage = json->find("usage"); usage != nullptr && usage->is_object()) {
    const Json* prompt = usage->find("prompt_tokens");
    const Json* output = usage->find("completion_tokens");
    if (prompt != nullptr && prompt->is_int()) sample_.prompt_tokens = prompt->as_int();
    if (output != nullptr && output->is_int()) counted_tokens_ = output->as_int();
  }
}

void AnswerReader::note_text(double now_s) {
  if (pieces_++ == 0) {
    sample_.first_token_s = now_s;
  } else {
    sample_.gaps_s.push_back(now_s - last_text_s_);
  }
  last_text_s_ = now_s;
}

void AnswerReader::note_error(const std::string& error) {
  if (sample_.error.empty()) {
    sample_.error = error;
  }
}

ServeSample AnswerReader::finish(double now_s) {
  sample_.end_s = now_s;
  if (status_ != kOk && sample_.error.empty()) {
    note_error("HTTP " + std::to_string(status_) + ": " + message_of(unread_));
  } else if (status_ == kOk && !done_) {
    note_error("the stream ended without [DONE]");
  }
  if (pieces_ == 0) {
    sample_.first_token_s = now_s;
  }
  sample_.output_tokens = counted_tokens_ >= 0 ? counted_tokens_ : pieces_;
  sample_.outcome = sample_.error.empty() ? ServeSample::Outcome::kSuccess : ServeSample::Outcome::kFailure;
  return std::move(sample_);
}

}  // namespace longship
