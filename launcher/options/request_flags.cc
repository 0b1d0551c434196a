#include "launcher/options/request_flags.h"

#include <CLI/CLI.hpp>

#include "core/error.h"
#include "launcher/options/model_name.h"

namespace longship {

namespace {

// The format of this name, or `found` where that is auto.
template <class Format>
Format chosen(const std::string& flag, const std::string& name, Format found, std::optional<Format> named,
              const std::string& names) {
  if (name == "auto") {
    return found;
  }
  if (!named) {
    throw Error(ErrorKind::kUsage, flag + " " + name + " is not known", "Known are auto, " + names + ".");
  }
  return *named;
}

}  // namespace

std::vector<std::string> RequestFlags::names_of(const std::string& model) const {
  return served_names.empty() ? std::vector<std::string>{model_name(model)} : served_names;
}

ModelText RequestFlags::load_text(const EngineFlags& engine) const {
  ModelText text = load_model_text(engine.model, engine.options.overrides, true, chat_template);
  ReplyFormat& format = text.reply_format;
  format.tools =
      chosen("--tool-call-parser", tool_parser, format.tools, tool_format_named(tool_parser), tool_format_names());
  format.reasoning = chosen("--reasoning-parser", reasoning_parser, format.reasoning,
                            reasoning_format_named(reasoning_parser), reasoning_format_names());
  return text;
}

void add_request_flags(CLI::App& command, RequestFlags& flags) {
  const char* group = "Requests";
  command
      .add_option("--served-model-name,--alias", flags.served_names,
                  "Name of the model in requests (repeatable; default: that of its file)")
      ->type_name("NAME")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->group(group);
  command
      .add_option("--tool-call-parser", flags.tool_parser,
                  "How the model writes calls of functions: auto (from its template), " + tool_format_names())
      ->type_name("NAME")
      ->group(group);
  command
      .add_option("--reasoning-parser", flags.reasoning_parser,
                  "How it marks its reasoning: auto, " + reasoning_format_names())
      ->type_name("NAME")
      ->group(group);
  command
      .add_option("--chat-template,--chat-template-file", flags.chat_template,
                  "Jinja template of chats, in a file, instead of the model's")
      ->type_name("FILE")
      ->group(group);
  command.add_option("--seed", flags.seed, "Seed of requests that name none (default: random)")
      ->type_name("N")
      ->group(group);
}

}  // namespace longship
