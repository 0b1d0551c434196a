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
    Json json = entry(row.token, row.logprob);
    json.set("top_logprobs", std::move(top));
    content.push_back(std::move(json));
  }
  Json json;
  json.set("content", std::move(content));
  json.set("refusal", nullptr);
  return json;
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
    token_logprobs.emplace_back(shown(row.logprob));
    Json top{Json::Object{}};
    for (const TokenLogprob& one : row.top) {
      top.set(name(one.token), shown(one.logprob));
    }
    top_logprobs.push_back(std::move(top));
    text_offset.emplace_back(row.text_offset);
  }
  Json json;
  json.set("tokens", std::move(tokens));
  json.set("token_logprobs", std::move(token_logprobs));
  json.set("top_logprobs", std::move(top_logprobs));
  json.set("text_offset", std::move(text_offset));
  return json;
}

}  // namespace longship
