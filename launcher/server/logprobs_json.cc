#include "launcher/server/logprobs_json.h"

#include <algorithm>

namespace longship {

namespace {

Json::Array bytes_json(std::string_view bytes) {
  Json::Array array;
  for (const char byte : bytes) {
    array.emplace_back(int64_t{static_cast<unsigned char>(byte)});
  }
  return array;
}

// A logprob as JSON can say it: nothing below the floor that clients know.
double shown(float logprob) {
  constexpr double kFloor = -9999.0;
  return std::max(kFloor, static_cast<double>(logprob));
}

}  // namespace

// A part of a character becomes U+FFFD; its bytes stand beside it.
std::string LogprobsJson::name(int32_t token) const {
  return tokens_as_ids_ ? "token_id:" + std::to_string(token) : tokenizer_->decode({&token, 1}, false);
}

Json LogprobsJson::entry(int32_t token, float logprob) const {
  Json json;
  json.set("token", name(token));
  json.set("logprob", shown(logprob));
  json.set("bytes", bytes_json(tokenizer_->bytes_of(token)));
  return json;
}

Json LogprobsJson::of_chat(std::span<const TokenRow> rows) const {
  if (rows.empty()) {
    return {};
  }
  Json::Array content;
  for (const TokenRow& row : rows) {
    Json::Array top;
    for (const TokenLogprob& one : row.top) {
      top.push_back(entry(one.token, one.logprob));
    }
    Json json = entry(row.token, row.logprob.value_or(0));
    json.set("top_logprobs", std::move(top));
    content.push_back(std::move(json));
  }
  Json json;
  json.set("content", std::move(content));
  json.set("refusal", nullptr);
  return json;
}

// The most probable tokens and the chosen one. Of tokens with the same text the most probable stands.
Json LogprobsJson::top_of_text(const TokenRow& row) const {
  if (!row.logprob) {
    return {};
  }
  Json top{Json::Object{}};
  for (const TokenLogprob& one : row.top) {
    if (const std::string text = name(one.token); top.find(text) == nullptr) {
      top.set(text, shown(one.logprob));
    }
  }
  if (const std::string text = name(row.token); top.find(text) == nullptr) {
    top.set(text, shown(*row.logprob));
  }
  return top;
}

Json LogprobsJson::of_text(std::span<const TokenRow> rows) const {
  if (rows.empty()) {
    return {};
  }
  Json::Array tokens;
  Json::Array token_logprobs;
  Json::Array top_logprobs;
  Json::Array text_offset;
  for (const TokenRow& row : rows) {
    tokens.emplace_back(name(row.token));
    token_logprobs.push_back(row.logprob ? Json(shown(*row.logprob)) : Json());
    top_logprobs.push_back(top_of_text(row));
    text_offset.emplace_back(row.text_offset);
  }
  Json json;
  json.set("tokens", std::move(tokens));
  json.set("token_logprobs", std::move(token_logprobs));
  json.set("top_logprobs", std::move(top_logprobs));
  json.set("text_offset", std::move(text_offset));
  return json;
}

Json LogprobsJson::ranked(int32_t token, float logprob, int64_t rank) const {
  Json json;
  json.set("logprob", shown(logprob));
  json.set("rank", rank);
  json.set("decoded_token", name(token));
  return json;
}

Json LogprobsJson::of_prompt(std::span<const int32_t> prompt, std::span<const PositionLogprobs> positions) const {
  Json::Array result(1);
  for (std::size_t i = 0; i < positions.size(); ++i) {
    const PositionLogprobs& position = positions[i];
    const int32_t token = prompt[i + 1];
    Json json;
    json.set(std::to_string(token), ranked(token, position.logprob, position.rank));
    int64_t rank = 0;
    for (const TokenLogprob& one : position.top) {
      ++rank;
      if (one.token != token) {
        json.set(std::to_string(one.token), ranked(one.token, one.logprob, rank));
      }
    }
    result.push_back(std::move(json));
  }
  return result;
}

}  // namespace longship
