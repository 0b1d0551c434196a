#include "launcher/bench/load_text.h"

#include <algorithm>

#include "core/error.h"
#include "core/json.h"

namespace longship {

namespace {

constexpr int kOk = 200;

constexpr const char* kUsualText =
    "A ship leaves the harbour before dawn and the water is still. People on the pier wave with both hands, children "
    "count the windows, and somebody has brought bread, apples, cheese and a small radio. The captain reads a letter "
    "twice. Later the wind turns north, clouds gather over the hills, rain falls on old roofs and the river runs fast "
    "through green fields. In town a clock strikes seven. The baker opens his shop, a teacher walks past the library, "
    "doctors wash their hands, engineers draw bridges, and music comes from an open door. How far is the island? "
    "Nobody "
    "knows exactly, but every map shows it: ten miles long, three wide, with white sand, tall trees, one road and a "
    "light that burns all night. Summer brings visitors; winter leaves silence, stars and snow. We should write down "
    "what we learn, because memory is short and questions return: why do heavy things float, where does salt come "
    "from, "
    "when will the next train arrive, who built this wall, which number is larger?";

Json object_of(const ApiReply& reply) {
  auto parsed = parse_json(reply.body, {.unique_keys = false});
  return std::holds_alternative<Json>(parsed) ? std::get<Json>(std::move(parsed)) : Json();
}

Error no_text(const ApiServer& server, const std::string& path) {
  return {ErrorKind::kUsage, "the server at " + server.url + " has no " + path,
          "Give --tokenizer MODEL, a folder or GGUF file of the model that it serves."};
}

std::vector<int32_t> encode_there(const ApiServer& server, const std::string& text) {
  for (const char* name : {"prompt", "content"}) {  // vLLM's and llama.cpp's
    Json body;
    body.set(name, text);
    body.set("add_special_tokens", false);
    const Json answer = object_of(ask_server(server, "/tokenize", dump_json(body)));
    const Json* tokens = answer.find("tokens");
    std::vector<int32_t> ids;
    if (tokens != nullptr && tokens->is_array()) {
      for (const Json& token : tokens->as_array()) {
        if (token.is_int()) ids.push_back(static_cast<int32_t>(token.as_int()));
      }
    }
    if (!ids.empty()) {
      return ids;
    }
  }
  throw no_text(server, "/tokenize");
}

std::string decode_there(const ApiServer& server, std::span<const int32_t> ids) {
  Json body;
  body.set("tokens", Json::Array(ids.begin(), ids.end()));
  const ApiReply reply = ask_server(server, "/detokenize", dump_json(body));
  const Json answer = object_of(reply);
  for (const char* name : {"prompt", "content"}) {
    if (const Json* text = answer.find(name); reply.status == kOk && text != nullptr && text->is_string()) {
      return text->as_string();
    }
  }
  throw no_text(server, "/detokenize");
}

}  // namespace

LoadText text_of(const std::shared_ptr<const Tokenizer>& tokenizer) {
  return {.encode =
              [tokenizer](const std::string& text) {
                return tokenizer->encode(text, {.add_special = false, .parse_special = false});
              },
          .decode = [tokenizer](std::span<const int32_t> ids) { return tokenizer->decode(ids, false); }};
}

LoadText text_of(const ApiServer& server) {
  return {.encode = [&server](const std::string& text) { return encode_there(server, text); },
          .decode = [&server](std::span<const int32_t> ids) { return decode_there(server, ids); }};
}

std::vector<int32_t> usual_tokens(const LoadText& text) {
  std::vector<int32_t> ids = text.encode(kUsualText);
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

std::vector<std::string> load_bodies(const std::vector<LoadRequest>& requests, const LoadBody& how,
                                     const LoadText& text) {
  std::vector<std::string> bodies;
  for (const LoadRequest& request : requests) {
    Json body;
    body.set("model", how.model);
    if (how.chat) {
      Json message;
      message.set("role", "user");
      message.set("content", request.ids.empty() ? request.text : text.decode(request.ids));
      body.set("messages", Json::Array{std::move(message)});
      body.set("max_completion_tokens", request.output_tokens);
    } else {
      body.set("prompt",
               request.ids.empty() ? Json(request.text) : Json(Json::Array(request.ids.begin(), request.ids.end())));
      body.set("max_tokens", request.output_tokens);
    }
    body.set("temperature", how.temperature);
    if (how.ignore_eos) {
      body.set("ignore_eos", true);
    }
    Json usage;
    usage.set("include_usage", true);
    body.set("stream", true);
    body.set("stream_options", std::move(usage));
    bodies.push_back(dump_json(body));
  }
  return bodies;
}

}  // namespace longship
