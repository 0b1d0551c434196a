#include "launcher/server/generation_fields.h"

#include <algorithm>
#include <charconv>
#include <random>

namespace longship {

namespace {

// What one request may ask for.
constexpr std::size_t kMostBiases = 1024;
constexpr std::size_t kMostBadWords = 1024;
constexpr int64_t kMostTokens = int64_t{1} << 40U;
constexpr double kMostPenalty = 1e4;

std::vector<std::pair<int32_t, float>> logit_bias(const Fields& fields, int64_t vocab) {
  const Json* object = fields.find("logit_bias");
  std::vector<std::pair<int32_t, float>> biases;
  if (object == nullptr) {
    return biases;
  }
  if (!object->is_object() || object->as_object().size() > kMostBiases) {
    fields.fail("logit_bias", "must be an object of at most " + std::to_string(kMostBiases) + " token ids");
  }
  std::string bad_keys;
  for (const auto& [key, value] : object->as_object()) {
    int32_t token = -1;
    const auto read = std::from_chars(key.data(), key.data() + key.size(), token);
    if (read.ec != std::errc() || read.ptr != key.data() + key.size() || token < 0 || token >= vocab) {
      constexpr std::size_t kShown = 400;  // bytes of keys
      if (bad_keys.size() < kShown) bad_keys += (bad_keys.empty() ? "\"" : ", \"") + key.substr(0, 40) + "\"";
    } else if (!value.is_number() || !(value.as_double() >= -100 && value.as_double() <= 100)) {
      fields.fail("logit_bias", "must have numbers between -100 and 100; that of token " + key + " is none");
    } else {
      biases.emplace_back(token, static_cast<float>(value.as_double()));
    }
  }
  if (!bad_keys.empty()) {
    fields.fail("logit_bias", "has keys that are no token ids of the vocabulary, which go from 0 to " +
                                  std::to_string(vocab - 1) + " of " + std::to_string(vocab) + ": " + bad_keys);
  }
  return biases;
}

uint64_t random_seed() {
  std::random_device random;
  return (uint64_t{random()} << 32U) | random();
}

// Each bad word as the tokens that it is at the beginning of a text and behind a space.
std::vector<std::vector<int32_t>> bad_words(const Fields& fields, const Tokenizer& tokenizer) {
  std::vector<std::vector<int32_t>> result;
  for (const std::string& word : fields.texts("bad_words", kMostBadWords)) {
    const std::size_t begin = word.find_first_not_of(' ');
    if (begin == std::string::npos) {
      fields.fail("bad_words", "must not have an empty word");
    }
    const std::string bare = word.substr(begin);
    for (const std::string& text : {bare, " " + bare}) {
      result.push_back(tokenizer.encode(text, {.add_special = false, .parse_special = false}));
    }
  }
  std::erase_if(result, [](const auto& ids) { return ids.empty(); });
  return result;
}

std::vector<int32_t> allowed_ids(const Fields& fields, int64_t vocab) {
  std::vector<int32_t> ids = fields.ids("allowed_token_ids", vocab);
  if (fields.find("allowed_token_ids") != nullptr && ids.empty()) {
    fields.fail("allowed_token_ids", "must not be empty");
  }
  return ids;
}

SamplingParams sampling(const Fields& fields, int64_t vocab, const Tokenizer& tokenizer) {
  SamplingParams params;
  params.temperature = fields.number("temperature", 0, 100).value_or(1.0);
  params.top_p = fields.number("top_p", 0, 1).value_or(1.0);
  params.top_k = std::max<int64_t>(0, fields.integer("top_k", -1, int64_t{1} << 31U).value_or(0));
  params.min_p = fields.number("min_p", 0, 1).value_or(0.0);
  params.repetition_penalty = fields.number("repetition_penalty", 1e-3, kMostPenalty).value_or(1.0);
  params.presence_penalty = fields.number("presence_penalty", -2, 2).value_or(0.0);
  params.frequency_penalty = fields.number("frequency_penalty", -2, 2).value_or(0.0);
  params.logit_bias = logit_bias(fields, vocab);
  params.allowed_ids = allowed_ids(fields, vocab);
  params.bad_words = bad_words(fields, tokenizer);
  return params;
}

// How many logprobs the client wants of each token; -1: none.
int64_t logprobs(const Fields& fields, bool chat) {
  if (!chat) {
    return fields.integer("logprobs", 0, kMostTopLogprobs).value_or(-1);
  }
  const std::optional<int64_t> top = fields.integer("top_logprobs", 0, kMostTopLogprobs);
  const bool wanted = fields.flag("logprobs").value_or(false);
  if (top && *top > 0 && !wanted) {
    fields.fail("top_logprobs", "needs logprobs to be true");
  }
  return wanted ? top.value_or(0) : -1;
}

// Without a limit a chat goes on as long as there is room; so does a completion whose limit is null.
int64_t max_tokens(const Fields& fields, bool chat) {
  const std::optional<int64_t> limit = fields.integer("max_tokens", chat ? 1 : 0, kMostTokens);
  if (chat) {
    return fields.integer("max_completion_tokens", 1, kMostTokens).value_or(limit.value_or(kMostTokens));
  }
  constexpr int64_t kUsual = 16;
  return limit.value_or(fields.has("max_tokens") ? kMostTokens : kUsual);
}

}  // namespace

GenerationRequest read_generation(const Fields& fields, bool chat, int64_t vocab, const ModelText& model) {
  GenerationRequest generation;
  generation.sampling = sampling(fields, vocab, *model.tokenizer);
  const std::optional<int64_t> seed = fields.integer("seed", INT64_MIN, INT64_MAX);
  generation.sampling.seed = seed ? static_cast<uint64_t>(*seed) : random_seed();
  generation.max_tokens = max_tokens(fields, chat);
  generation.min_tokens = fields.integer("min_tokens", 0, kMostTokens).value_or(0);
  if (generation.min_tokens > generation.max_tokens) {
    fields.fail("min_tokens", "must not be above max_tokens");
  }
  generation.logprobs = logprobs(fields, chat);
  generation.priority = fields.integer("priority", INT32_MIN, INT32_MAX).value_or(0);
  generation.stop_ids = fields.ids("stop_token_ids", vocab);
  if (!fields.flag("ignore_eos").value_or(false)) {
    generation.stop_ids.insert(generation.stop_ids.end(), model.stop_ids.begin(), model.stop_ids.end());
  }
  return generation;
}

}  // namespace longship
