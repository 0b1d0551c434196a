#include "launcher/server/api.h"

#include <gtest/gtest.h>

#include "tests/support/data_path.h"
#include "tests/support/served_api.h"
#include "tests/unit/server/model.h"

namespace longship {
namespace {

ServedApi& served() {
  static ServedApi served;
  return served;
}

ApiAnswer ask(const std::string& method, const std::string& path, const std::string& body = "",
              const std::string& content_type = "application/json") {
  HttpRequest request;
  request.method = method;
  request.path = path;
  request.headers["content-type"] = content_type;
  request.body = body;
  return served().ask(request);
}

Json json_of(const ApiAnswer& answer) {
  auto parsed = parse_json(answer.body);
  EXPECT_TRUE(std::holds_alternative<Json>(parsed)) << answer.body;
  return std::get<Json>(parsed);
}

TEST(Api, WhatIsNoUsableJsonIsRefused) {
  const std::string deep = R"({"prompt":)" + std::string(100000, '[') + std::string(100000, ']') + "}";
  const std::string bodies[] = {"",
                                "{",
                                "[]",
                                "5",
                                "null",
                                "\"prompt\"",
                                R"({"prompt":"a"} x)",
                                R"({"prompt":"a","prompt":"b"})",
                                R"({"prompt":"a","temperature":NaN})",
                                R"({"prompt":"a","temperature":-Infinity})",
                                R"({"prompt":"a","temperature":1e999})",
                                R"({"prompt":"a","max_tokens":99999999999999999999999})",
                                R"({"prompt":"a","seed":1e300})",
                                R"({"prompt":"a\ud800"})",
                                R"({"prompt":"a\udc00\ud800"})",
                                "{\"prompt\":\"a\xff\"}",
                                "{\"prompt\":\"a\xed\xa0\x80\"}",
                                std::string("{\"prompt\":\"a\0\"}", 15),
                                deep};
  for (const std::string& body : bodies) {
    const ApiAnswer answer = ask("POST", "/v1/completions", body);
    EXPECT_EQ(answer.status, 400) << body.substr(0, 80) << " gave " << answer.body;
    const Json json = json_of(answer);
    const Json* error = json.find("error");
    for (const char* member : {"message", "type", "param", "code"}) EXPECT_NE(error->find(member), nullptr);
  }
}

TEST(Api, AByteOrderMarkBeforeTheJsonIsNoPartOfIt) {
  EXPECT_EQ(ask("POST", "/v1/completions", "\xEF\xBB\xBF{\"prompt\":\"a\"}").status, 200);
  EXPECT_EQ(ask("POST", "/v1/completions", "\xEF\xBB\xBF\xEF\xBB\xBF{\"prompt\":\"a\"}").status, 400);
  EXPECT_EQ(ask("POST", "/v1/completions", "\xEF\xBB\xBF").status, 400);
}

TEST(Api, EveryFieldOfAWrongTypeIsNamed) {
  const std::pair<const char*, const char*> fields[] = {
      {"model", "5"},
      {"temperature", "\"1\""},
      {"top_p", "1.5"},
      {"top_k", "0.5"},
      {"min_p", "-0.1"},
      {"repetition_penalty", "0"},
      {"presence_penalty", "3"},
      {"frequency_penalty", "[]"},
      {"logit_bias", "[]"},
      {"logit_bias", R"({"1":101})"},
      {"logit_bias", R"({"1":"a"})"},
      {"seed", "\"a\""},
      {"max_tokens", "-1"},
      {"max_tokens", "1.5"},
      {"min_tokens", "17"},
      {"logprobs", "-1"},
      {"stop", "5"},
      {"stop", "[5]"},
      {"stop", R"(["1","2","3","4","5","6","7","8","9","10","11","12","13","14","15","16","17"])"},
      {"stop_token_ids", "[-1]"},
      {"stop_token_ids", "5"},
      {"ignore_eos", "1"},
      {"n", "0"},
      {"n", "129"},
      {"n", "true"},
      {"best_of", "129"},
      {"stream", "\"yes\""},
      {"echo", "1"},
      {"bad_words", "[1]"},
      {"allowed_token_ids", "{}"},
      {"truncate_prompt_tokens", "-2"},
      {"truncation_side", "\"up\""},
      {"skip_special_tokens", "0"},
      {"include_stop_str_in_output", "{}"},
      {"return_tokens_as_token_ids", "[]"},
      {"suffix", "\"a\""},
      {"stream_options", R"({"include_usage":false})"},
      {"stream_options", "[]"},
  };
  for (const auto& [field, value] : fields) {
    const ApiAnswer answer =
        ask("POST", "/v1/completions", R"({"prompt":"a",")" + std::string(field) + "\":" + value + "}");
    EXPECT_EQ(answer.status, 400) << field << " " << answer.body;
    EXPECT_EQ(*json_of(answer).find("error")->find("param"), Json(field)) << answer.body;
  }
}

TEST(Api, AnUnknownFieldIsToldOnce) {
  testing::internal::CaptureStderr();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(ask("POST", "/v1/completions", R"({"prompt":"a","wind":1,"wi\nd":2,"user":"u"})").status, 200);
  }
  const std::string told = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(told.begin(), told.end(), '\n'), 2) << told;
  EXPECT_NE(told.find("\"wind\""), std::string::npos) << told;
  EXPECT_NE(told.find("\"wi\\nd\""), std::string::npos) << told;
}

// What a fresh server warns of as it answers.
std::string told_of(const std::string& path, const std::string& body) {
  ServedApi fresh;
  testing::internal::CaptureStderr();
  const ApiAnswer answer =
      fresh.ask({.method = "POST", .path = path, .headers = {}, .body = body, .address = {}, .id = {}});
  EXPECT_EQ(answer.status, 200) << answer.body;
  return testing::internal::GetCapturedStderr();
}

TEST(Api, AFieldThatOnlyAnotherRouteReadsIsTold) {
  const std::string members = R"("parallel_tool_calls":true,"max_completion_tokens":3})";
  EXPECT_EQ(told_of("/v1/completions", R"({"prompt":"a",)" + members),
            "longship: requests to /v1/completions have a field that is ignored: \"parallel_tool_calls\"\n"
            "longship: requests to /v1/completions have a field that is ignored: \"max_completion_tokens\"\n");
  EXPECT_EQ(told_of("/v1/chat/completions", R"({"messages":[{"role":"user","content":"a"}],)" + members), "");
  EXPECT_NE(told_of("/tokenize", R"({"content":"a","parse_special":true})").find("\"parse_special\""),
            std::string::npos);
}

TEST(Api, NoFieldThatIsReadIsToldAsIgnored) {
  const std::string common =
      R"("model":"ship","temperature":0.5,"top_p":0.9,"top_k":4,"min_p":0.1,"repetition_penalty":1.1,)"
      R"("presence_penalty":0.1,"frequency_penalty":0.1,"logit_bias":{"1":1},"allowed_token_ids":[65,66],)"
      R"("bad_words":["q"],"seed":1,"max_tokens":2,"min_tokens":1,"ignore_eos":true,"stop":"q","stop_token_ids":[1],)"
      R"("include_stop_str_in_output":true,"n":1,"best_of":1,"stream":true,"stream_options":{"include_usage":true},)"
      R"("skip_special_tokens":false,"priority":1,"return_tokens_as_token_ids":true,"return_token_ids":true,)"
      R"("echo":false,"truncate_prompt_tokens":9,"truncation_side":"left","response_format":{"type":"text"},)"
      R"("structured_outputs":{"choice":["A","B"]},"guided_json":"","json_schema":"","guided_regex":"",)"
      R"("guided_choice":"","guided_grammar":"","grammar":"","chat_template":false,"use_beam_search":false,)"
      R"("suffix":false,"user":"u","metadata":{},"service_tier":"auto","store":false,"safety_identifier":"s",)"
      R"("prompt_cache_key":"k")";
  EXPECT_EQ(told_of("/v1/completions", R"({"prompt":"a","logprobs":1,"add_special_tokens":true,)" + common + "}"), "");
  EXPECT_EQ(told_of("/v1/completions", R"({"prompt":"a","prompt_logprobs":1})"), "");
  const std::string chat = R"({"messages":[{"role":"user","content":"a"}],)";
  EXPECT_EQ(told_of("/v1/chat/completions",
                    chat +
                        R"("logprobs":true,"top_logprobs":1,"max_completion_tokens":2,"tools":[],)"
                        R"("tool_choice":"none","parallel_tool_calls":false,"add_generation_prompt":true,)"
                        R"("continue_final_message":false,"chat_template_kwargs":{},"reasoning_effort":"low",)" +
                        common + "}"),
            "");
  EXPECT_EQ(told_of("/tokenize", R"({"prompt":"a","model":"ship","add_special_tokens":true,"return_token_strs":true})"),
            "");
  EXPECT_EQ(told_of("/tokenize", chat + R"("add_generation_prompt":false,"tools":[],"return_token_strs":false})"), "");
  EXPECT_EQ(told_of("/tokenize", R"({"content":"a","add_special":true,"with_pieces":true})"), "");
  EXPECT_EQ(told_of("/detokenize", R"({"tokens":[65],"model":"ship"})"), "");
}

TEST(Api, NullIsAsIfAFieldWereNotThere) {
  EXPECT_EQ(
      ask("POST", "/v1/completions",
          R"({"prompt":"a","n":null,"stop":null,"stream":null,"stream_options":null,"logit_bias":null,"seed":null,)"
          R"("temperature":null,"user":null,"best_of":null,"tools":null,"response_format":null})")
          .status,
      200);
}

TEST(Api, StreamOptionsThatSayNothingNeedNoStream) {
  EXPECT_EQ(ask("POST", "/v1/completions", R"({"prompt":"a","stream_options":{}})").status, 200);
}

TEST(Api, ABodyThatSaysItIsNotJsonIsRefused) {
  const std::string body = R"({"prompt":"a"})";
  for (const char* type : {"application/json", "application/json; charset=utf-8", "Application/JSON", ""}) {
    EXPECT_EQ(ask("POST", "/v1/completions", body, type).status, 200) << type;
  }
  for (const char* type : {"text/plain", "application/x-www-form-urlencoded", "application/jsonx", ";"}) {
    EXPECT_EQ(ask("POST", "/v1/completions", body, type).status, 415) << type;
  }
}

TEST(Api, RoutesAreThoseOfTheirMethod) {
  const ApiAnswer wrong = ask("GET", "/v1/completions");
  EXPECT_EQ(wrong.status, 405);
  ASSERT_EQ(wrong.headers.size(), 1U);
  EXPECT_EQ(wrong.headers[0], (std::pair<std::string, std::string>("Allow", "POST")));
  EXPECT_EQ(ask("POST", "/v1/embeddings", "{}").status, 404);
  for (const char* path : {"/v1/models", "/models", "/health", "/ping", "/live", "/version", "/v1/models/ship"}) {
    EXPECT_EQ(ask("GET", path).status, 200) << path;
  }
  const char* chat = R"({"messages":[{"role":"user","content":"a"}]})";
  EXPECT_EQ(ask("POST", "/chat/completions", chat).status, 200);
}

TEST(Api, ModelsAreFoundByName) {
  const Json list = json_of(ask("GET", "/v1/models"));
  ASSERT_EQ(list.find("data")->as_array().size(), 2U);
  const Json& second = list.find("data")->as_array()[1];
  EXPECT_EQ(*second.find("id"), Json("vessel/large"));
  EXPECT_EQ(*second.find("root"), Json("ship"));
  EXPECT_EQ(*second.find("object"), Json("model"));
  EXPECT_EQ(*second.find("max_model_len"), Json(300));
  EXPECT_EQ(json_of(ask("GET", "/v1/models/vessel%2Flarge")), second);
  EXPECT_EQ(ask("GET", "/v1/models/vessel/large").status, 200);
  EXPECT_EQ(ask("GET", "/v1/models/other").status, 404);
  EXPECT_EQ(ask("GET", "/v1/models/").status, 404);
  EXPECT_EQ(ask("POST", "/v1/completions", R"({"prompt":"a","model":""})").status, 200) << "none is named";
}

TEST(Api, AChatHasTheTokenizersOwnTokensOnlyWhereItAsksForThem) {
  const MetadataOverride begins{"tokenizer.ggml.add_bos_token", "true"};
  const auto model =
      std::make_shared<const ModelText>(load_model_text(data_path("gguf-models/llama-Q8_0.gguf"), {&begins, 1}, true,
                                                        "{% for m in messages %}{{ m.content }}{% endfor %}"));
  ServedApi own(model);
  const auto tokens = [&](const std::string& more) {
    HttpRequest request;
    request.method = "POST";
    request.path = "/tokenize";
    request.headers["content-type"] = "application/json";
    request.body = R"({"messages":[{"role":"user","content":"The ship"}])" + more + "}";
    return json_of(own.ask(request)).find("tokens")->as_array();
  };
  Json::Array expected = tokens("");
  EXPECT_EQ(tokens(R"(,"add_special_tokens":false)"), expected);
  expected.insert(expected.begin(), Json(0));
  EXPECT_EQ(tokens(R"(,"add_special_tokens":true)"), expected);
}

TEST(Api, TokenizesAsVllmAndAsLlamaCppDo) {
  const Json vllm = json_of(ask("POST", "/tokenize", R"({"prompt":"The ship","return_token_strs":true})"));
  EXPECT_EQ(vllm.find("count")->as_int(), std::ssize(vllm.find("tokens")->as_array()));
  EXPECT_EQ(*vllm.find("token_strs"), Json(Json::Array{"The", "\u0120s", "hi", "p"})) << "as the vocabulary has them";
  const Json quiet = json_of(ask("POST", "/tokenize", R"({"prompt":"The ship"})"));
  EXPECT_TRUE(quiet.find("token_strs")->is_null());
  const Json llama = json_of(ask("POST", "/tokenize", R"({"content":"The ship"})"));
  EXPECT_EQ(llama.as_object().size(), 1U);
  Json back;
  back.set("tokens", *llama.find("tokens"));
  const Json text = json_of(ask("POST", "/detokenize", dump_json(back)));
  EXPECT_EQ(*text.find("content"), Json("The ship"));
  EXPECT_EQ(*text.find("prompt"), Json("The ship"));
  back.set("model", "ship");
  EXPECT_EQ(ask("POST", "/detokenize", dump_json(back)).body, R"({"prompt": "The ship"})") << "as vLLM has it";
  const Json pieces = json_of(ask("POST", "/tokenize", R"({"content":"\u5abd","with_pieces":true})"));
  for (const Json& token : pieces.find("tokens")->as_array()) {
    EXPECT_TRUE(token.find("id")->is_int());
    EXPECT_NE(token.find("piece"), nullptr);
  }
  EXPECT_EQ(ask("POST", "/tokenize", "{}").status, 400);
  EXPECT_EQ(ask("POST", "/detokenize", "{}").status, 400);
  EXPECT_EQ(ask("POST", "/tokenize", R"({"prompt":"The ship","model":"other"})").status, 404);
  EXPECT_EQ(ask("POST", "/detokenize", R"({"tokens":[7],"model":"other"})").status, 404);
  EXPECT_EQ(ask("POST", "/detokenize", R"({"tokens":[99999999]})").status, 400);
}

// The lists of ids with this key in a stream's chunks, one behind the other; `chunks` is how many had one.
Json::Array ids_in(const std::string& stream, const std::string& key, int& chunks) {
  Json::Array all;
  chunks = 0;
  for (std::size_t at = stream.find("\"" + key + "\": ["); at != std::string::npos;
       at = stream.find("\"" + key + "\": [", at + 1)) {
    const std::size_t begin = stream.find('[', at);
    const Json ids = std::get<Json>(parse_json(stream.substr(begin, stream.find(']', at) + 1 - begin)));
    all.insert(all.end(), ids.as_array().begin(), ids.as_array().end());
    ++chunks;
  }
  return all;
}

TEST(Api, TokenIdsAreToldToThoseWhoAsk) {
  const std::string text = R"({"prompt":"The ship","max_tokens":3)";
  const std::string chat = R"({"messages":[{"role":"user","content":"Sail"}],"max_tokens":3)";
  const std::string wanted = R"(,"return_token_ids":true)";
  const Json whole = json_of(ask("POST", "/v1/completions", text + wanted + "}"));
  const Json& choice = whole.find("choices")->as_array()[0];
  EXPECT_EQ(choice.find("token_ids")->as_array().size(), 3U);
  EXPECT_EQ(std::ssize(choice.find("prompt_token_ids")->as_array()),
            whole.find("usage")->find("prompt_tokens")->as_int());
  const Json talk = json_of(ask("POST", "/v1/chat/completions", chat + wanted + "}"));
  EXPECT_EQ(talk.find("choices")->as_array()[0].find("token_ids")->as_array().size(), 3U);
  EXPECT_EQ(talk.find("choices")->as_array()[0].find("prompt_token_ids"), nullptr);
  EXPECT_EQ(std::ssize(talk.find("prompt_token_ids")->as_array()), talk.find("usage")->find("prompt_tokens")->as_int());
  int chunks = 0;
  const std::string stream = ask("POST", "/v1/chat/completions", chat + wanted + R"(,"stream":true})").body;
  EXPECT_EQ(ids_in(stream, "token_ids", chunks), talk.find("choices")->as_array()[0].find("token_ids")->as_array());
  EXPECT_GT(chunks, 3) << "every chunk has some or none";
  EXPECT_EQ(ids_in(stream, "prompt_token_ids", chunks), talk.find("prompt_token_ids")->as_array());
  EXPECT_EQ(chunks, 1) << "the first chunk";
  EXPECT_EQ(ask("POST", "/v1/completions", text + "}").body.find("token_ids"), std::string::npos);
  EXPECT_EQ(ask("POST", "/v1/completions", text + R"(,"return_token_ids":1})").status, 400);
}

TEST(Api, TellsHowManyRequestsAreOpen) {
  EXPECT_EQ(*json_of(ask("GET", "/load")).find("server_load"), Json(0));
}

TEST(Api, EveryBadKeyOfALogitBiasIsNamed) {
  const ApiAnswer answer = ask("POST", "/v1/completions", R"({"prompt":"a","logit_bias":{"x1":1,"5":1,"9999999":2}})");
  EXPECT_EQ(answer.status, 400);
  for (const char* word : {"x1", "9999999", "logit_bias"}) {
    EXPECT_NE(json_of(answer).find("error")->find("message")->as_string().find(word), std::string::npos) << answer.body;
  }
}

TEST(Api, AnIdThatIsNoneIsNamedWithTheSizeOfTheVocabulary) {
  const std::string size = std::to_string(test_model().tokenizer->vocab_size());
  const ApiAnswer answer = ask("POST", "/v1/completions", R"({"prompt":"a","stop_token_ids":[)" + size + "]}");
  EXPECT_EQ(answer.status, 400);
  EXPECT_NE(answer.body.find("vocabulary: " + size + ";"), std::string::npos) << answer.body;
  EXPECT_NE(answer.body.find("of " + size + "\""), std::string::npos) << answer.body;
}

TEST(Api, AChatMayHaveRolesThatOnlyItsTemplateKnows) {
  EXPECT_EQ(
      ask("POST", "/v1/chat/completions", R"({"messages":[{"role":"critic","content":"a"}],"max_tokens":1})").status,
      200);
  EXPECT_EQ(ask("POST", "/v1/chat/completions", R"({"messages":[{"role":"","content":"a"}]})").status, 400);
}

TEST(Api, AChatOfNonsenseIsRefused) {
  for (const char* messages : {"null", "\"string\"", "[123]", "[{}]", R"([{"role":123}])", "[]", "{}",
                               R"([{"role":"system","content":123}])", R"([{"role":"system","content":"test"},{}])"}) {
    EXPECT_EQ(ask("POST", "/v1/chat/completions", R"({"messages":)" + std::string(messages) + "}").status, 400)
        << messages;
  }
}

TEST(Api, AdaptersAreModelsOfTheirOwn) {
  ServedApi adapted({{"captain", "adapters/captain"}, {"cook", "/adapters/cook"}});
  const auto ask_it = [&](const char* method, const std::string& path, const std::string& body = "") {
    return adapted.ask({.method = method, .path = path, .headers = {}, .body = body, .address = {}, .id = {}});
  };
  const Json models = json_of(ask_it("GET", "/v1/models"));
  const Json::Array& data = models.find("data")->as_array();
  ASSERT_EQ(data.size(), 4U);
  EXPECT_EQ(*data[0].find("parent"), Json());
  EXPECT_EQ(*data[2].find("id"), Json("captain"));
  EXPECT_EQ(*data[2].find("parent"), Json("ship"));
  EXPECT_EQ(*data[2].find("root"), Json("adapters/captain"));
  EXPECT_EQ(json_of(ask_it("GET", "/v1/models/cook")), data[3]);
  EXPECT_EQ(ask_it("GET", "/v1/models/pilot").status, 404);

  const auto answer = [&](const std::string& model) {
    return json_of(
        ask_it("POST", "/v1/completions", R"({"prompt":"a","n":2,"max_tokens":1,"model":")" + model + "\"}"));
  };
  EXPECT_EQ(*answer("cook").find("model"), Json("cook"));
  EXPECT_EQ(adapted.engine().request().adapter, 2);
  EXPECT_EQ(*answer("captain").find("model"), Json("captain"));
  EXPECT_EQ(adapted.engine().request().adapter, 1);
  EXPECT_EQ(*answer("vessel/large").find("model"), Json("ship"));
  EXPECT_EQ(adapted.engine().request().adapter, 0);
  EXPECT_EQ(*answer("pilot").find("error")->find("code"), Json("model_not_found"));
  EXPECT_EQ(ask_it("POST", "/tokenize", R"({"prompt":"a","model":"cook"})").status, 200);
  EXPECT_EQ(ask_it("POST", "/tokenize", R"({"prompt":"a","model":"pilot"})").status, 404);
  EXPECT_NE(ask_it("GET", "/metrics").body.find(R"(max_lora="2",waiting_lora_adapters="",running_lora_adapters=""} )"),
            std::string::npos);
}

}  // namespace
}  // namespace longship
