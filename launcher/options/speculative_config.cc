#include "launcher/options/speculative_config.h"

#include "core/error.h"
#include "core/json.h"

namespace longship {

namespace {

constexpr int64_t kMostDraftTokens = 64;
constexpr int64_t kMostMatch = 64;
constexpr const char* kLookUp = "ngram";
constexpr const char* kDraftModel = "draft_model";

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

std::string word(const Json::Member& member) {
  if (!member.second.is_string() || member.second.as_string().empty()) {
    refuse("needs a text as " + member.first);
  }
  return member.second.as_string();
}

PromptLookup lookup(int64_t tokens, int64_t most, int64_t least) {
  PromptLookup options{.draft_tokens = tokens};
  if (most != 0 || least != 0) {  // one of them is both
    options.most_match = most != 0 ? most : least;
    options.least_match = least != 0 ? least : most;
  }
  if (options.least_match > options.most_match) {
    refuse("has a prompt_lookup_min above prompt_lookup_max");
  }
  return options;
}

}  // namespace

Speculation parse_speculative_config(std::string_view text) {
  const auto parsed = parse_json(text);
  const Json* config = std::get_if<Json>(&parsed);
  if (config == nullptr || !config->is_object()) {
    refuse("is not a JSON object");
  }
  std::string method;
  std::string model;
  int64_t tokens = 0;
  int64_t least = 0;
  int64_t most = 0;
  for (const Json::Member& member : config->as_object()) {
    if (member.first == "num_speculative_tokens") {
      tokens = number(member, kMostDraftTokens);
    } else if (member.first == "prompt_lookup_max") {
      most = number(member, kMostMatch);
    } else if (member.first == "prompt_lookup_min") {
      least = number(member, kMostMatch);
    } else if (member.first == "method") {
      method = word(member);
    } else if (member.first == "model") {
      model = word(member);
    } else {
      refuse("has no \"" + member.first + "\"");
    }
  }
  if (tokens == 0) {
    refuse("lacks num_speculative_tokens");
  }
  if (method.empty()) {
    method = model.empty() ? kLookUp : kDraftModel;
  }
  if (method == kLookUp && model.empty()) {
    return {.lookup = lookup(tokens, most, least)};
  }
  if (method != kDraftModel) {
    refuse(method == kLookUp ? "has a model, which the method \"ngram\" does without"
                             : "knows only the methods \"ngram\" and \"draft_model\"");
  }
  if (model.empty() || most != 0 || least != 0) {
    refuse(model.empty() ? "lacks the model of the method \"draft_model\""
                         : "has a prompt_lookup that the method \"draft_model\" does without");
  }
  return {.lookup = {}, .draft_model = model, .draft_tokens = tokens};
}

std::string speculative_config_text(const Speculation& options) {
  Json config;
  config.set("num_speculative_tokens", options.tokens());
  if (options.draft_tokens != 0) {
    config.set("method", std::string(kDraftModel));
    config.set("model", std::filesystem::absolute(options.draft_model).native());
  } else {
    config.set("method", std::string(kLookUp));
    config.set("prompt_lookup_max", options.lookup.most_match);
    config.set("prompt_lookup_min", options.lookup.least_match);
  }
  return dump_json(config);
}

}  // namespace longship
