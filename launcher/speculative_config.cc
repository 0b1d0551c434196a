#include "launcher/speculative_config.h"

#include "core/error.h"
#include "core/json.h"

namespace longship {

namespace {

constexpr int64_t kMostDraftTokens = 64;
constexpr int64_t kMostMatch = 64;

[[noreturn]] void refuse(const std::string& cause) {
  throw Error(
      ErrorKind::kUsage, "--speculative-config " + cause,
      R"(For example: --speculative-config '{"method":"ngram","num_speculative_tokens":5,"prompt_lookup_max":4}')");
}

int64_t number(const Json::Member& member, int64_t most) {
  const auto& [key, value] = member;
  if (!value.is_int() || value.as_int() < 1 || value.as_int() > most) {
    refuse("needs a whole number from 1 to " + std::to_string(most) + " as " + key);
  }
  return value.as_int();
}

}  // namespace

PromptLookup parse_speculative_config(std::string_view text) {
  const auto parsed = parse_json(text);
  const Json* config = std::get_if<Json>(&parsed);
  if (config == nullptr || !config->is_object()) {
    refuse("is not a JSON object");
  }
  PromptLookup options;
  int64_t least = 0;
  int64_t most = 0;
  for (const Json::Member& member : config->as_object()) {
    if (member.first == "num_speculative_tokens") {
      options.draft_tokens = number(member, kMostDraftTokens);
    } else if (member.first == "prompt_lookup_max") {
      most = number(member, kMostMatch);
    } else if (member.first == "prompt_lookup_min") {
      least = number(member, kMostMatch);
    } else if (member.first != "method" || member.second != Json("ngram")) {
      refuse(member.first == "method" ? "knows only the method \"ngram\"" : "has no \"" + member.first + "\"");
    }
  }
  if (options.draft_tokens == 0) {
    refuse("lacks num_speculative_tokens");
  }
  if (most != 0 || least != 0) {  // one of them is both
    options.most_match = most != 0 ? most : least;
    options.least_match = least != 0 ? least : most;
  }
  if (options.least_match > options.most_match) {
    refuse("has a prompt_lookup_min above prompt_lookup_max");
  }
  return options;
}

std::string speculative_config_text(const PromptLookup& options) {
  Json config;
  config.set("method", "ngram");
  config.set("num_speculative_tokens", options.draft_tokens);
  config.set("prompt_lookup_max", options.most_match);
  config.set("prompt_lookup_min", options.least_match);
  return dump_json(config);
}

}  // namespace longship
