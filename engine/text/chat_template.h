#pragma once

#include <ctime>
#include <memory>
#include <string>
#include <string_view>

#include "core/json.h"

namespace longship {

/// A chat template: Jinja as Hugging Face's apply_chat_template sets it up. Immutable; any thread may render.
/// The language is that of Jinja 3 without includes; steps, nesting and output are limited, values cannot be changed in
/// place, and nothing outside the context can be reached.
class ChatTemplate {
 public:
  /// Errors: Error kUsage with the line of the template.
  explicit ChatTemplate(std::string_view source);
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;

  /// `context` is an object with all variables that the template sees; `now` is what strftime_now() formats.
  /// Errors: Error kUsage with the line, or the text that the template raised.
  std::string render(const Json& context, const std::tm& now) const;

 private:
  struct Parsed;
  std::unique_ptr<const Parsed> parsed_;
};

/// The local time.
std::tm local_now();

}  // namespace longship
