// Calls of functions and reasoning through the API, from a model that says what the test lets it say.
#include <gtest/gtest.h>

#include "engine/sample/grammar/automaton.h"
#include "engine/text/chat_template.h"
#include "launcher/server/call_grammar.h"
#include "launcher/server/fields.h"
#include "tests/support/served_api.h"
#include "tests/unit/server/model.h"

namespace longship {
namespace {

constexpr const char* kTemplate =
    "{% for tool in tools or [] %}{{ tool | tojson }}{% endfor %}"
    "{% for message in messages %}{{ message.role }}: {{ message.content }}"
    "{% for call in message.tool_calls or [] %}<tool_call>{{ call.function | tojson }}</tool_call>{% endfor %}\n{% "
    "endfor %}"
    "assistant: {% if thinking or thought %}<think>{% endif %}{% if thought %}</think>{% endif %}";

// The small model, with a template that has calls and reasoning.
std::shared_ptr<const ModelText> calling_model() {
  auto model = std::make_shared<ModelText>(test_model());
  const auto parsed = std::make_shared<const ChatTemplate>(kTemplate);
  model->render = [parsed](const Json& variables) { return parsed->render(variables, local_now()); };
  model->reply_format = find_reply_format(kTemplate, model->render);
  return model;
}

class ToolCalls : public ::testing::Test {
 protected:
  // The answer to a chat with these members more, where the model says `words`.
  ApiAnswer ask(const std::string& words, const std::string& members) {
    served_.engine().say(test_model().tokenizer->encode(words, {.add_special = false, .parse_special = true}));
    HttpRequest request;
    request.method = "POST";
    request.path = "/v1/chat/completions";
    request.headers["content-type"] = "application/json";
    request.body = R"({"messages":[{"role":"user","content":"Oslo?"}])" + members + "}";
    return served_.ask(request);
  }
  Json json(const ApiAnswer& answer) const {
    EXPECT_EQ(answer.status, 200) << answer.body;
    return std::get<Json>(parse_json(answer.body));
  }
  Json choice(const ApiAnswer& answer) const { return json(answer).find("choices")->as_array()[0]; }
  // The choices of the chunks of a stream.
  std::vector<Json> chunks(const ApiAnswer& answer) const {
    std::vector<Json> result;
    for (std::size_t at = answer.body.find("data: {"); at != std::string::npos;
         at = answer.body.find("data: {", at + 1)) {
      const std::string line = answer.body.substr(at + 6, answer.body.find('\n', at) - at - 6);
      result.push_back(std::get<Json>(parse_json(line)).find("choices")->as_array()[0]);
    }
    return result;
  }

  const std::string tools_ = R"(,"tools":[{"type":"function","function":{"name":"get_weather","description":"d",
    "parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}},
    {"type":"function","function":{"name":"now"}}])";
  const std::string call_ =
      "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Oslo\"}}\n</tool_call>";
  const std::string both_ = call_ + "\n<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";
  ServedApi served_{calling_model(), 2000};
};

TEST_F(ToolCalls, AreAnswered) {
  const Json answer = choice(ask(both_, tools_));
  EXPECT_EQ(*answer.find("finish_reason"), Json("tool_calls"));
  const Json& message = *answer.find("message");
  EXPECT_TRUE(message.find("content")->is_null());
  const Json::Array& calls = message.find("tool_calls")->as_array();
  ASSERT_EQ(calls.size(), 2U);
  EXPECT_EQ(*calls[0].find("type"), Json("function"));
  EXPECT_EQ(*calls[0].find("function")->find("name"), Json("get_weather"));
  EXPECT_EQ(*calls[0].find("function")->find("arguments"), Json(R"({"city": "Oslo"})"));
  EXPECT_EQ(*calls[1].find("function")->find("name"), Json("now"));
  EXPECT_NE(*calls[0].find("id"), *calls[1].find("id"));
}

TEST_F(ToolCalls, AreStreamed) {
  const std::vector<Json> all = chunks(ask("Wait. " + both_, tools_ + R"(,"stream":true)"));
  std::string content;
  std::string arguments[2];
  std::vector<std::string> names;
  for (const Json& chunk : all) {
    const Json& delta = *chunk.find("delta");
    content += delta.find("content") != nullptr ? delta.find("content")->as_string() : "";
    if (const Json* list = delta.find("tool_calls"); list != nullptr) {
      const Json& piece = list->as_array()[0];
      const Json& function = *piece.find("function");
      EXPECT_EQ(piece.find("id") != nullptr, function.find("name") != nullptr);
      if (const Json* name = function.find("name"); name != nullptr) names.push_back(name->as_string());
      arguments[piece.find("index")->as_int()] += function.find("arguments")->as_string();
    }
    EXPECT_EQ(*chunk.find("finish_reason"), &chunk == &all.back() ? Json("tool_calls") : Json());
  }
  EXPECT_EQ(content, "Wait.");
  EXPECT_EQ(names, (std::vector<std::string>{"get_weather", "now"}));
  EXPECT_EQ(arguments[0], R"({"city": "Oslo"})");
  EXPECT_EQ(arguments[1], "{}");
  EXPECT_EQ(*all.back().find("delta"), Json(Json::Object{}));
  EXPECT_GT(all.size(), 8U) << "arguments come in pieces";
}

TEST_F(ToolCalls, AreNotLookedForUnlessTheClientOffersFunctions) {
  for (const std::string& members : {std::string(), tools_ + R"(,"tool_choice":"none")"}) {
    const Json answer = choice(ask(call_, members));
    EXPECT_EQ(*answer.find("message")->find("content"), Json(call_));
    EXPECT_EQ(*answer.find("finish_reason"), Json("stop"));
  }
}

TEST_F(ToolCalls, TheFirstIsTheOnlyOneIfTheClientWantsThat) {
  const Json answer = choice(ask(both_, tools_ + R"(,"parallel_tool_calls":false)"));
  EXPECT_EQ(answer.find("message")->find("tool_calls")->as_array().size(), 1U);
}

TEST_F(ToolCalls, ThatAreCutEndWithLength) {
  const std::string cut = call_.substr(0, call_.find("lo\""));
  const auto tokens = test_model().tokenizer->encode(cut, {.add_special = false, .parse_special = true}).size();
  const Json answer = choice(ask(call_, tools_ + ",\"max_tokens\":" + std::to_string(tokens)));
  EXPECT_EQ(*answer.find("finish_reason"), Json("length"));
  const Json* calls = answer.find("message")->find("tool_calls");
  ASSERT_NE(calls, nullptr);
  EXPECT_TRUE(calls->as_array()[0].find("function")->find("arguments")->as_string().starts_with(R"({"city": ")"));
}

TEST_F(ToolCalls, ThatAreForcedAndCutBeforeTheirNameAreNoContent) {
  for (const char* forced : {R"("required")", R"({"type":"function","function":{"name":"now"}})"}) {
    const std::string members = tools_ + R"(,"max_tokens":2,"tool_choice":)" + forced;
    const Json answer = choice(ask(call_, members));
    EXPECT_EQ(*answer.find("finish_reason"), Json("length"));
    EXPECT_EQ(*answer.find("message")->find("content"), Json(""));
    EXPECT_EQ(answer.find("message")->find("tool_calls"), nullptr);
    for (const Json& chunk : chunks(ask(call_, members + R"(,"stream":true)"))) {
      const Json* content = chunk.find("delta")->find("content");
      EXPECT_TRUE(content == nullptr || *content == Json("")) << dump_json(chunk);
    }
  }
}

TEST_F(ToolCalls, StopStringsStopTheTextThatTheModelWrites) {
  const Json answer = choice(ask(both_, tools_ + R"(,"stop":"</tool_call>")"));
  EXPECT_EQ(*answer.find("finish_reason"), Json("tool_calls"));
  ASSERT_NE(answer.find("message")->find("tool_calls"), nullptr);
  EXPECT_EQ(answer.find("message")->find("tool_calls")->as_array().size(), 1U);
}

TEST_F(ToolCalls, TextThatOnlyLooksLikeACallIsContent) {
  const Json answer = choice(ask("<tool_call>no</tool_call>", tools_));
  EXPECT_EQ(*answer.find("message")->find("content"), Json("<tool_call>no</tool_call>"));
  EXPECT_EQ(answer.find("message")->find("tool_calls"), nullptr);
  EXPECT_EQ(*answer.find("finish_reason"), Json("stop"));
}

TEST_F(ToolCalls, LogprobsAreThoseOfAllTokens) {
  const Json whole = json(ask(call_, tools_ + R"(,"logprobs":true)"));
  const int64_t tokens = whole.find("usage")->find("completion_tokens")->as_int();
  const auto count = [](const Json& choice) {
    const Json* logprobs = choice.find("logprobs");
    return logprobs->is_null() ? 0 : std::ssize(logprobs->find("content")->as_array());
  };
  EXPECT_EQ(count(whole.find("choices")->as_array()[0]), tokens);
  const auto said = test_model().tokenizer->encode(call_, {.add_special = false, .parse_special = true});
  EXPECT_EQ(tokens, std::ssize(said) + 1) << "the one that ends the reply was generated too";
  int64_t streamed = 0;
  const auto all = chunks(ask(call_, tools_ + R"(,"logprobs":true,"stream":true)"));
  for (const Json& chunk : all) streamed += count(chunk);
  EXPECT_EQ(streamed, tokens);
  EXPECT_EQ(count(all.back()), 1) << "with the finish_reason, so that the text of the others is that of their tokens";
}

TEST_F(ToolCalls, ReasoningStandsApartAndIsCounted) {
  const std::string words = "<think>\nWhere?\n</think>\n\nHere.";
  const Json answer = json(ask(words, ""));
  const Json& message = *answer.find("choices")->as_array()[0].find("message");
  EXPECT_EQ(*message.find("content"), Json("Here."));
  EXPECT_EQ(*message.find("reasoning_content"), Json("Where?"));
  const int64_t counted = answer.find("usage")->find("completion_tokens_details")->find("reasoning_tokens")->as_int();
  EXPECT_GT(counted, 0);
  EXPECT_LT(counted, answer.find("usage")->find("completion_tokens")->as_int());
  std::string reasoning;
  for (const Json& chunk : chunks(ask(words, R"(,"stream":true)"))) {
    const Json* piece = chunk.find("delta")->find("reasoning_content");
    reasoning += piece != nullptr ? piece->as_string() : "";
  }
  EXPECT_EQ(reasoning, "Where?");
}

TEST_F(ToolCalls, ReasoningThatThePromptOpensIsInside) {
  const std::string kwargs = R"(,"chat_template_kwargs":{"thinking":true})";
  const Json answer = json(ask("Where?</think>Here.", kwargs));
  const Json& message = *answer.find("choices")->as_array()[0].find("message");
  EXPECT_EQ(*message.find("content"), Json("Here."));
  EXPECT_EQ(*message.find("reasoning_content"), Json("Where?"));
}

TEST_F(ToolCalls, TheModelIsToldOfToolsAndEarlierCalls) {
  const auto prompt = [&] { return test_model().tokenizer->decode(served_.engine().request().prompt, false); };
  ask("a", tools_);
  EXPECT_NE(prompt().find(R"({"type": "function", "function": {"name": "get_weather", "description": "d", )"),
            std::string::npos)
      << prompt();
  HttpRequest request;
  request.method = "POST";
  request.path = "/v1/chat/completions";
  request.headers["content-type"] = "application/json";
  request.body = R"({"messages":[{"role":"user","content":"Oslo?"},{"role":"assistant","content":null,"tool_calls":[
    {"id":"call_1","type":"function","function":{"name":"now","arguments":"{\"zone\":\"CET\"}"}}]},
    {"role":"tool","tool_call_id":"call_1","content":"12:34"}]})";
  EXPECT_EQ(served_.ask(request).status, 200);
  EXPECT_NE(prompt().find(R"(<tool_call>{"name": "now", "arguments": {"zone": "CET"}}</tool_call>)"), std::string::npos)
      << prompt();
  EXPECT_NE(prompt().find("tool: 12:34"), std::string::npos) << prompt();
}

TEST_F(ToolCalls, ThatAreForcedAreAGrammar) {
  const auto grammar = [&] { return std::get<Json>(parse_json(served_.engine().request().grammar.text)); };
  ask(call_, tools_ + R"(,"tool_choice":"required")");
  EXPECT_EQ(grammar().find("tags")->as_array().size(), 2U);
  EXPECT_EQ(grammar().find("most"), nullptr);
  const Json answer =
      choice(ask(call_, tools_ + R"(,"tool_choice":{"type":"function","function":{"name":"get_weather"}})"));
  ASSERT_EQ(grammar().find("tags")->as_array().size(), 1U);
  EXPECT_EQ(*grammar().find("tags")->as_array()[0].find("begin"),
            Json("<tool_call>\n{\"name\": \"get_weather\", \"arguments\": "));
  EXPECT_EQ(*grammar().find("most"), Json(1));
  EXPECT_EQ(*answer.find("finish_reason"), Json("stop")) << "as the OpenAI API has it for a function that was named";
  ask(call_, tools_ + R"(,"tool_choice":"required","parallel_tool_calls":false)");
  EXPECT_EQ(*grammar().find("most"), Json(1));
  ask(call_, tools_);
  EXPECT_EQ(served_.engine().request().grammar, GrammarSpec{});
}

TEST_F(ToolCalls, OfAFunctionWithoutASchemaHaveNoArguments) {
  for (const std::string parameters : {"", R"(,"parameters":null)"}) {
    ask(call_, R"(,"tool_choice":"required","tools":[{"function":{"name":"now")" + parameters + "}}]");
    const auto automaton = compile_grammar(served_.engine().request().grammar);
    const auto accepts = [&](const std::string& arguments) {
      const std::string text = "<tool_call>\n{\"name\": \"now\", \"arguments\": " + arguments + "}\n</tool_call>";
      return automaton->advance(automaton->start(), text).may_end;
    };
    EXPECT_TRUE(accepts("{}"));
    EXPECT_FALSE(accepts(R"({"zone": "CET"})"));
  }
}

TEST_F(ToolCalls, OfStrictFunctionsHoldToTheirSchemasWhereTheModelMayCall) {
  const std::string tools = R"(,"tools":[{"function":{"name":"get_weather","strict":true,"parameters":{"type":"object",
    "properties":{"city":{"enum":["Oslo"]}},"required":["city"],"additionalProperties":false}}},
    {"function":{"name":"now","parameters":{"type":"pigeon"}}}])";
  const Json answer = choice(ask(call_, tools));
  EXPECT_EQ(*answer.find("finish_reason"), Json("tool_calls"));
  const GrammarSpec spec = served_.engine().request().grammar;
  ASSERT_EQ(spec.kind, GrammarSpec::Kind::kTagged);
  const auto automaton = compile_grammar(spec);
  const auto accepts = [&](const std::string& text) { return automaton->advance(automaton->start(), text).may_end; };
  const std::string call = R"(<tool_call>
{"name": "get_weather", "arguments": {"city": "Oslo"}}
</tool_call>)";
  const std::string loose = R"(<tool_call>
{"name": "now", "arguments": {"anything": [1]}}
</tool_call>)";
  for (const std::string& text : {std::string(), std::string("It is <b>fine</b> <tool_cal"), call, call + "\n" + loose,
                                  "Let me look. " + call + " and " + call + "."}) {
    EXPECT_TRUE(accepts(text)) << text;
  }
  for (const std::string& text :
       {std::string("<tool_call>"), "Well <tool_call>\n{\"name\": \"other\"" + call, std::string(R"(<tool_call>
{"name": "get_weather", "arguments": {"city": "Paris"}}
</tool_call>)"),
        std::string(R"( {"name": "get_weather", "arguments": {"city": "Paris"}})")}) {
    EXPECT_FALSE(accepts(text)) << text;
  }
  EXPECT_EQ(*choice(ask("Where?</think>Here.", tools + R"(,"chat_template_kwargs":{"thinking":true})"))
                 .find("message")
                 ->find("content"),
            Json("Here."));
}

TEST_F(ToolCalls, OfStrictFunctionsHoldToTheirSchemasBehindReasoning) {
  const std::string tools = R"(,"tools":[{"function":{"name":"go","strict":true,"parameters":{"type":"object",
    "properties":{"days":{"enum":[7]}},"required":["days"],"additionalProperties":false}}}])";
  const std::string right = R"({"name": "go", "arguments": {"days": 7}})";
  const std::string wrong = R"({"name": "go", "arguments": {"days": 8}})";
  for (const std::string& words : {"<think>Hm.</think>" + wrong, "<think>Hm.</think>\n```json\n" + wrong + "\n```"}) {
    const Json answer = choice(ask(words, tools));
    ASSERT_NE(answer.find("message")->find("tool_calls"), nullptr) << "readers take it for a call: " << words;
    const auto automaton = compile_grammar(served_.engine().request().grammar);
    EXPECT_FALSE(automaton->advance(automaton->start(), words).may_end) << words;
  }
  const auto automaton = compile_grammar(served_.engine().request().grammar);
  const auto accepts = [&](const std::string& text) { return automaton->advance(automaton->start(), text).may_end; };
  const std::string marked = "<tool_call>\n" + right + "\n</tool_call>";
  for (const std::string& text :
       {"<think>Hm.</think>" + marked, "<think>{</think>\n\nWell. " + marked, "<thin" + marked, "<thing> " + marked,
        std::string("<"), "``" + marked, std::string("```json\n[{}]\n```"), std::string("```js\n{}\n```")}) {
    EXPECT_TRUE(accepts(text)) << text;
  }
  for (const std::string& text : {std::string("<think>Hm."), "<think>Hm.</think>" + right, " \n<think>Hm.{" + marked}) {
    EXPECT_FALSE(accepts(text)) << text;
  }
  ask("Here.", tools + R"(,"chat_template_kwargs":{"thought":true})");
  EXPECT_EQ(served_.engine().request().grammar.reasoning, GrammarSpec::Reasoning{}) << "the prompt has ended it";
  const auto answering = compile_grammar(served_.engine().request().grammar);
  EXPECT_FALSE(answering->advance(answering->start(), "<think></think>" + wrong).may_end);
}

TEST_F(ToolCalls, ThatAreForcedMayBeThoughtAbout) {
  const auto grammar = [&] { return served_.engine().request().grammar; };
  const std::string required = tools_ + R"(,"tool_choice":"required")";
  const Json message = *choice(ask("<think>Where?</think>\n" + call_, required)).find("message");
  EXPECT_EQ(grammar().reasoning, (GrammarSpec::Reasoning{"<think>", "</think>"}));
  EXPECT_TRUE(compile_grammar(grammar())
                  ->advance(compile_grammar(grammar())->start(), "<think>Where?</think>\n" + call_)
                  .may_end);
  EXPECT_EQ(*message.find("reasoning_content"), Json("Where?"));
  EXPECT_EQ(message.find("tool_calls")->as_array().size(), 1U);
  const std::string thinking = R"(,"chat_template_kwargs":{"thinking":true})";
  const Json begun = *choice(ask("Where?</think>" + call_, required + thinking)).find("message");
  EXPECT_EQ(grammar().reasoning, (GrammarSpec::Reasoning{"", "</think>"}));
  EXPECT_EQ(*begun.find("reasoning_content"), Json("Where?"));
  EXPECT_EQ(begun.find("tool_calls")->as_array().size(), 1U);
  ask("{}", R"(,"response_format":{"type":"json_object"})");
  EXPECT_EQ(grammar().reasoning, (GrammarSpec::Reasoning{"<think>", "</think>"}));
  ask("a", R"(,"grammar":"root ::= \"a\"")" + thinking);
  EXPECT_EQ(grammar().reasoning, GrammarSpec::Reasoning{}) << "it says all of the reply";
}

TEST(CallGrammar, HasTheMarksThatAreSpecialTokens) {
  const Json body = std::get<Json>(parse_json(
      R"({"tools":[{"function":{"name":"now","strict":true,"parameters":{"type":"object","properties":{},"additionalProperties":false}}}]})"));
  ToolUse use = read_tool_use(Fields(body));
  const auto accepts = [&](const std::string& text) {
    const auto automaton = compile_grammar(call_grammar(use, {.tools = ToolFormat::kMistral}, {"[TOOL_CALLS]"}));
    return automaton->advance(automaton->start(), text).may_end;
  };
  const std::string call = R"([{"name": "now", "arguments": {}}])";
  EXPECT_TRUE(accepts("It is " + special_bytes("[TOOL_CALLS]") + call));
  EXPECT_TRUE(accepts("[TOOL_CALL] is no mark"));
  EXPECT_FALSE(accepts("[TOOL_CALLS]" + call)) << "it would be read as a call";
  EXPECT_FALSE(accepts(special_bytes("[TOOL_CALLS]") + R"([{"name": "later", "arguments": {}}])"));
  use.choice = ToolUse::Choice::kRequired;
  EXPECT_TRUE(accepts(special_bytes("[TOOL_CALLS]") + call));
  EXPECT_FALSE(accepts("[TOOL_CALLS]" + call));
  EXPECT_FALSE(accepts("It is " + special_bytes("[TOOL_CALLS]") + call));
}

TEST_F(ToolCalls, ThatAreForcedNeedNoFormatOfTheModel) {
  ServedApi plain;  // its template has no calls
  plain.engine().say(test_model().tokenizer->encode(call_, {.add_special = false}));
  HttpRequest request;
  request.method = "POST";
  request.path = "/v1/chat/completions";
  request.headers["content-type"] = "application/json";
  request.body = R"({"messages":[{"role":"user","content":"Oslo?"}],"tool_choice":"required")" + tools_ + "}";
  const Json message = *choice(plain.ask(request)).find("message");
  ASSERT_NE(message.find("tool_calls"), nullptr) << dump_json(message);
  EXPECT_EQ(*message.find("tool_calls")->as_array()[0].find("function")->find("name"), Json("get_weather"));
  EXPECT_TRUE(message.find("content")->is_null());
  const auto automaton = compile_grammar(plain.engine().request().grammar);
  EXPECT_TRUE(automaton->advance(automaton->start(), call_).may_end);
}

TEST_F(ToolCalls, AreRefusedWhereTheyCannotBe) {
  EXPECT_EQ(ask("", tools_ + R"(,"tool_choice":"required","guided_regex":"a")").status, 400);
  const std::string bad = R"(,"tools":[{"function":{"name":"f","parameters":{"type":"pigeon"}}}])";
  EXPECT_EQ(ask("", bad + R"(,"tool_choice":"required")").status, 400);
  ServedApi plain;  // its template has no calls
  HttpRequest request;
  request.method = "POST";
  request.path = "/v1/chat/completions";
  request.headers["content-type"] = "application/json";
  request.body = R"({"messages":[{"role":"user","content":"Oslo?"}])" + tools_ + "}";
  const ApiAnswer answer = plain.ask(request);
  EXPECT_EQ(answer.status, 400);
  EXPECT_NE(answer.body.find("--tool-call-parser"), std::string::npos) << answer.body;
}

}  // namespace
}  // namespace longship
