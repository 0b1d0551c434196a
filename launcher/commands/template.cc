#include <CLI/CLI.hpp>
#include <ctime>
#include <optional>

#include "core/error.h"
#include "engine/text/chat_template.h"
#include "engine/text/chat_template_source.h"
#include "launcher/commands/commands.h"
#include "launcher/options/add_flags.h"
#include "launcher/output/json_lines.h"

namespace longship {

namespace {

struct TemplateFlags {
  std::string model;
  bool jsonl = false;
  std::string now;
  std::vector<MetadataOverride> overrides;
};

// "2026-01-15T12:34:56" as local time.
std::tm parse_time(const std::string& text) {
  std::tm now = {};
  const char* end = strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &now);
  if (end == nullptr || *end != '\0') {
    throw Error(ErrorKind::kUsage, "--now " + text + " is not a time", "Give it like 2026-01-15T12:34:56.");
  }
  now.tm_isdst = -1;
  std::mktime(&now);
  return now;
}

int template_command(const TemplateFlags& flags) {
  if (!flags.jsonl) {
    throw Error(ErrorKind::kUsage, "template reads its contexts as lines",
                "Use --jsonl, with lines on standard input.");
  }
  const std::optional<std::tm> fixed = flags.now.empty() ? std::nullopt : std::optional(parse_time(flags.now));
  std::optional<ChatTemplate> of_model;
  if (!flags.model.empty()) {
    const auto source = find_chat_template(flags.model, flags.overrides);
    if (!source) {
      throw Error(ErrorKind::kModelFile, flags.model + ": has no chat template",
                  "Leave the model out, and give each line a template of its own.");
    }
    of_model.emplace(*source);
  }
  return answer_json_lines([&](const Json& line) {
    const Json* context = line.find("context");
    const bool has_own = line.find("template") != nullptr;
    if (context == nullptr || !context->is_object()) {
      throw Error(ErrorKind::kUsage, "context must be an object");
    }
    if (!has_own && !of_model) {
      throw Error(ErrorKind::kUsage, "the line has no template, and no model was given");
    }
    const std::tm now = fixed ? *fixed : local_now();
    Json answer;
    answer.set("text", has_own ? ChatTemplate(line_string(line, "template")).render(*context, now)
                               : of_model->render(*context, now));
    return answer;
  });
}

}  // namespace

void add_template_command(CLI::App& app, std::function<int()>& action) {
  auto flags = std::make_shared<TemplateFlags>();
  CLI::App* command = app.add_subcommand("template", "Render chat templates");
  command->add_option("MODEL", flags->model, "Model folder, GGUF or template file; lines may bring their own template");
  command->add_flag("--jsonl", flags->jsonl,
                    "Read lines {\"context\": {...}, \"template\"?}, write {\"text\"} or {\"error\"}");
  command->add_option("--now", flags->now, "The time that strftime_now() shows, like 2026-01-15T12:34:56");
  add_override_flag(*command, flags->overrides);
  command->callback([flags, &action] { action = [flags] { return template_command(*flags); }; });
}

}  // namespace longship
