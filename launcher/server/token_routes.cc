#include "launcher/server/token_routes.h"

#include "core/utf8.h"

namespace longship {

namespace {

// A token's text, or its bytes where these are no text by themselves.
Json piece(const Tokenizer& tokenizer, int32_t id) {
  const std::string_view bytes = tokenizer.bytes_of(id);
  if (is_utf8(bytes)) {
    return {bytes};
  }
  Json::Array array;
  for (const char byte : bytes) {
    array.emplace_back(int64_t{static_cast<unsigned char>(byte)});
  }
  return {std::move(array)};
}

Json::Array ids_json(std::span<const int32_t> ids) {
  return {ids.begin(), ids.end()};
}

// {content, add_special, with_pieces} gives {tokens}, with {id, piece} each if wanted.
Json tokenize_content(const Fields& fields, const std::string& text, const CompletionParser& parser,
                      const Tokenizer& tokenizer) {
  const std::vector<int32_t> ids = parser.encode(text, fields.flag("add_special").value_or(false));
  Json answer;
  if (!fields.flag("with_pieces").value_or(false)) {
    answer.set("tokens", ids_json(ids));
    return answer;
  }
  Json::Array tokens;
  for (const int32_t id : ids) {
    Json token;
    token.set("id", id);
    token.set("piece", piece(tokenizer, id));
    tokens.push_back(std::move(token));
  }
  answer.set("tokens", std::move(tokens));
  return answer;
}

}  // namespace

Json tokenize(const Fields& fields, const CompletionParser& parser, const Tokenizer& tokenizer,
              const EngineInfo& info) {
  parser.check_model(fields);
  if (const std::optional<std::string> content = fields.text("content")) {
    return tokenize_content(fields, *content, parser, tokenizer);
  }
  std::vector<int32_t> ids;
  if (fields.find("messages") != nullptr) {
    ids = parser.chat_prompt().tokens(fields);
  } else if (const std::optional<std::string> text = fields.text("prompt")) {
    ids = parser.encode(*text, fields.flag("add_special_tokens").value_or(true));
  } else {
    fields.fail("prompt", "is missing");
  }
  Json strings;
  if (fields.flag("return_token_strs").value_or(false)) {
    strings = Json::Array();
    for (const int32_t id : ids) {
      strings.as_array().emplace_back(tokenizer.vocabulary_text(id));
    }
  }
  Json answer;
  answer.set("count", static_cast<int64_t>(ids.size()));
  answer.set("max_model_len", info.max_model_len);
  answer.set("tokens", ids_json(ids));
  answer.set("token_strs", std::move(strings));
  return answer;
}

Json detokenize(const Fields& fields, const CompletionParser& parser, const Tokenizer& tokenizer,
                const EngineInfo& info) {
  parser.check_model(fields);
  if (fields.find("tokens") == nullptr) {
    fields.fail("tokens", "is missing");
  }
  const std::string text = tokenizer.decode(fields.ids("tokens", info.vocab), false);
  Json answer;
  answer.set("prompt", text);  // vLLM's name
  if (fields.find("model") == nullptr) {
    answer.set("content", text);  // llama.cpp's, whose clients name no model
  }
  return answer;
}

}  // namespace longship
