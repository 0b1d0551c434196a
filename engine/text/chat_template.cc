#include "engine/text/chat_template.h"

#include "core/error.h"
#include "engine/text/jinja/interpreter.h"
#include "engine/text/jinja/parser.h"

namespace longship {

struct ChatTemplate::Parsed {
  jinja::Block block;
  std::size_t source_bytes;
};

namespace {

Error as_error(const jinja::TemplateError& error) {
  const std::string where = error.line() > 0 ? " (line " + std::to_string(error.line()) + " of the template)" : "";
  return Error(ErrorKind::kUsage, error.what() + where);
}

}  // namespace

ChatTemplate::ChatTemplate(std::string_view source) {
  constexpr std::size_t kMaxSourceBytes = std::size_t{4} << 20;
  if (source.size() > kMaxSourceBytes) {
    throw Error(ErrorKind::kUsage, "the chat template is longer than 4 MiB");
  }
  try {
    parsed_ = std::make_unique<const Parsed>(Parsed{jinja::parse(source), source.size()});
  } catch (const jinja::TemplateError& error) {
    throw as_error(error);
  }
}

ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;

std::string ChatTemplate::render(const Json& context, const std::tm& now) const {
  if (!context.is_object()) {
    throw Error(ErrorKind::kUsage, "the context of a template must be an object");
  }
  constexpr int64_t kLeastOutputBytes = int64_t{1} << 20;
  jinja::Limits limits;
  const auto input = static_cast<int64_t>(parsed_->source_bytes + dump_json(context).size());
  limits.output_bytes = std::min(limits.output_bytes * 4, kLeastOutputBytes + 8 * input);
  jinja::Runtime runtime(limits, now);
  try {
    return jinja::render(parsed_->block, context, runtime);
  } catch (const jinja::TemplateError& error) {
    throw as_error(error);
  }
}

std::tm local_now() {
  const std::time_t seconds = std::time(nullptr);
  std::tm now = {};
  localtime_r(&seconds, &now);
  return now;
}

}  // namespace longship
