#include "launcher/generate/conversation.h"

#include <utility>

namespace longship {

Conversation::Conversation(std::shared_ptr<const Tokenizer> tokenizer, Render render)
    : text_(std::move(tokenizer)), render_(std::move(render)) {}

void Conversation::reset(std::string system) {
  system_ = std::move(system);
  messages_.clear();
  known_text_.clear();
  known_ids_.clear();
  if (!system_.empty()) {
    add_message("system", text_.guard(system_));
  }
}

std::vector<int32_t> Conversation::ask(std::string_view text) {
  add_message("user", text_.guard(text));
  const std::string rendered = render_(messages_);
  if (!rendered.starts_with(known_text_)) {
    known_text_.clear();
    known_ids_.clear();
  }
  text_.encode(std::string_view(rendered).substr(known_text_.size()), known_ids_);
  known_text_ = rendered;
  return known_ids_;
}

void Conversation::answer(const std::string& text, const std::vector<int32_t>& ids, bool whole) {
  const std::string guarded = text_.guard(text);
  add_message("assistant", guarded);
  if (whole && guarded == text) {
    known_text_ += text;
    known_ids_.insert(known_ids_.end(), ids.begin(), ids.end());
  }
}

void Conversation::add_message(const char* role, std::string text) {
  Json message;
  message.set("role", role);
  message.set("content", std::move(text));
  messages_.push_back(std::move(message));
}

}  // namespace longship
