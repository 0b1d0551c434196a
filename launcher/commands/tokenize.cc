#include <CLI/CLI.hpp>
#include <cstdio>
#include <limits>

#include "core/error.h"
#include "engine/text/tokenizer.h"
#include "launcher/commands/commands.h"
#include "launcher/options/add_flags.h"
#include "launcher/output/json_lines.h"

namespace longship {

namespace {

struct TokenizeFlags {
  std::string model;
  bool jsonl = false;
  bool decode = false;
  std::string prompt;
  std::vector<MetadataOverride> overrides;
};

Json encode_line(const Tokenizer& tokenizer, const Json& line) {
  const EncodeOptions options{.add_special = line_flag(line, "add_special", true),
                              .parse_special = line_flag(line, "parse_special", false)};
  Json::Array ids;
  for (const int32_t id : tokenizer.encode(line_string(line, "text"), options)) {
    ids.emplace_back(id);
  }
  Json answer;
  answer.set("ids", std::move(ids));
  return answer;
}

Json decode_line(const Tokenizer& tokenizer, const Json& line) {
  const Json* given = line.find("ids");
  if (given == nullptr || !given->is_array()) {
    throw Error(ErrorKind::kUsage, "ids must be a list of token ids");
  }
  std::vector<int32_t> ids;
  for (const Json& id : given->as_array()) {
    if (!id.is_int() || id.as_int() < 0 || id.as_int() > std::numeric_limits<int32_t>::max()) {
      throw Error(ErrorKind::kUsage, "ids must be a list of token ids");
    }
    ids.push_back(static_cast<int32_t>(id.as_int()));
  }
  Json answer;
  answer.set("text", tokenizer.decode(ids, line_flag(line, "skip_special", false)));
  return answer;
}

void print_pieces(const Tokenizer& tokenizer, const std::string& text) {
  for (const int32_t id : tokenizer.encode(text)) {
    std::printf("%8d  %s\n", id, dump_json(Json(tokenizer.decode({&id, 1}, false))).c_str());
  }
}

int tokenize_command(const TokenizeFlags& flags) {
  if (!flags.jsonl && flags.prompt.empty()) {
    throw Error(ErrorKind::kUsage, "tokenize needs text", "Use -p TEXT, or --jsonl with lines on standard input.");
  }
  const auto tokenizer = Tokenizer::load(flags.model, flags.overrides);
  if (!flags.jsonl) {
    print_pieces(*tokenizer, flags.prompt);
    return 0;
  }
  return answer_json_lines(
      [&](const Json& line) { return flags.decode ? decode_line(*tokenizer, line) : encode_line(*tokenizer, line); });
}

}  // namespace

void add_tokenize_command(CLI::App& app, std::function<int()>& action) {
  auto flags = std::make_shared<TokenizeFlags>();
  CLI::App* command = app.add_subcommand("tokenize", "Text to token ids and back");
  command->add_option("MODEL", flags->model, "Model folder, tokenizer.json or GGUF file")->required();
  CLI::Option* jsonl =
      command->add_flag("--jsonl", flags->jsonl,
                        "Read lines {\"text\", \"add_special\" (true), \"parse_special\" (false)}, write {\"ids\"}");
  command
      ->add_flag("--decode", flags->decode, "With --jsonl: read {\"ids\", \"skip_special\" (false)}, write {\"text\"}")
      ->needs(jsonl);
  command->add_option("-p,--prompt", flags->prompt, "Show the tokens of this text")->excludes(jsonl);
  add_override_flag(*command, flags->overrides);
  command->callback([flags, &action] { action = [flags] { return tokenize_command(*flags); }; });
}

}  // namespace longship
