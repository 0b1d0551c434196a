#include "engine/text/reply/reply_format.h"

#include <gtest/gtest.h>

#include <map>

#include "engine/text/chat_template.h"
#include "tests/support/fixtures.h"

namespace longship {
namespace {

ReplyFormat found_in(const std::string& source) {
  return find_reply_format(source, [&](const Json& variables) {
    Json context = variables;
    context.set("bos_token", "<s>");
    context.set("eos_token", "</s>");
    return ChatTemplate(source).render(context, local_now());
  });
}

std::string with_calls(const std::string& call) {
  return "{% for m in messages %}{{ m.content }}{% for c in m.tool_calls or [] %}" + call + "{% endfor %}{% endfor %}";
}

TEST(ReplyFormat, IsFoundFromWhatTheTemplateWrites) {
  EXPECT_EQ(found_in("{{ messages[0].content }}"), ReplyFormat{});
  EXPECT_EQ(found_in(with_calls("<tool_call>\n{{ c.function | tojson }}\n</tool_call>")).tools, ToolFormat::kHermes);
  EXPECT_EQ(found_in(with_calls("[TOOL_CALLS][{{ c.function | tojson }}]")).tools, ToolFormat::kMistral);
  EXPECT_EQ(found_in(with_calls("[TOOL_CALLS]{{ c.function.name }}[ARGS]{{ c.function.arguments | tojson }}")).tools,
            ToolFormat::kMistral);
  EXPECT_EQ(
      found_in(with_calls("{\"name\": \"{{ c.function.name }}\", \"parameters\": {{ c.function.arguments | tojson }}}"))
          .tools,
      ToolFormat::kLlama3);
  EXPECT_EQ(found_in(with_calls("<tool_call><function={{ c.function.name }}></function></tool_call>")).tools,
            ToolFormat::kNone);
  EXPECT_EQ(found_in("{{ raise_exception('no') }}").tools, ToolFormat::kNone);
  EXPECT_EQ(found_in("{{ '<think>\\n' }}{# </think> #}").reasoning, ReasoningFormat::kThink);
  EXPECT_EQ(found_in("{{ '[THINK]a[/THINK]' }}").reasoning, ReasoningFormat::kMistral);
}

TEST(ReplyFormat, HasNames) {
  EXPECT_EQ(tool_format_named("llama3_json"), ToolFormat::kLlama3);
  EXPECT_EQ(tool_format_named("llama4"), std::nullopt);
  EXPECT_EQ(reasoning_format_named("deepseek_r1"), ReasoningFormat::kThink);
  EXPECT_NE(tool_format_names().find("hermes"), std::string::npos);
}

// Real templates, by a part of their name. What is not listed speaks none of these formats.
TEST(ReplyFormat, OfRealTemplates) {
  const auto fixtures = testing::third_party_fixtures();
  if (!fixtures) {
    GTEST_SKIP() << "set LONGSHIP_FIXTURES to the folder of third-party fixtures to run this test";
  }
  const std::map<std::string, ToolFormat> expected = {
      {"NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use", ToolFormat::kHermes},
      {"NousResearch-Hermes-3-Llama-3.1-8B-tool_use", ToolFormat::kHermes},
      {"Bielik-11B-v3.0-Instruct", ToolFormat::kHermes},
      {"MiMo-VL", ToolFormat::kHermes},
      {"Reka-Edge", ToolFormat::kHermes},
      {"ibm-granite-granite-4.1", ToolFormat::kHermes},
      {"Qwen-Qwen2.5-7B-Instruct", ToolFormat::kHermes},
      {"Qwen-Qwen3-0.6B", ToolFormat::kHermes},
      {"Qwen-QwQ-32B", ToolFormat::kHermes},
      {"gguf-qwen2.5-coder-0.5b-instruct", ToolFormat::kHermes},
      {"ibm-granite-granite-4.0", ToolFormat::kHermes},
      {"meta-llama-Llama-3.1-8B-Instruct", ToolFormat::kLlama3},
      {"meta-llama-Llama-3.2-3B-Instruct", ToolFormat::kLlama3},
      {"meta-llama-Llama-3.3-70B-Instruct", ToolFormat::kLlama3},
      {"mistralai-Mistral-Nemo-Instruct-2407", ToolFormat::kMistral},
      {"mistralai-Ministral-3-14B-Reasoning-2512", ToolFormat::kMistral},
      {"Mistral-Small-3.2-24B-Instruct-2506", ToolFormat::kMistral},
      {"unsloth-mistral-Devstral-Small-2507", ToolFormat::kMistral}};
  for (const auto& entry : std::filesystem::directory_iterator(*fixtures / "templates" / "templates")) {
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string source{std::istreambuf_iterator<char>(file), {}};
    const auto wanted = expected.find(entry.path().stem());
    EXPECT_EQ(static_cast<int>(found_in(source).tools),
              static_cast<int>(wanted == expected.end() ? ToolFormat::kNone : wanted->second))
        << entry.path().filename();
  }
}

}  // namespace
}  // namespace longship
