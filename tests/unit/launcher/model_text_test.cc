#include "launcher/generate/model_text.h"

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/data_path.h"

namespace longship {
namespace {

namespace fs = std::filesystem;

// A model folder of which only the text side is read, with templates of its own.
class ModelTemplates : public ::testing::Test {
 protected:
  void SetUp() override {
    const fs::path model = data_path("models/llama-rope-llama3");
    fs::create_directories(folder_);
    for (const char* name : {"config.json", "tokenizer.json", "model.safetensors"})
      fs::copy_file(model / name, folder_ / name);
  }
  void TearDown() override { fs::remove_all(folder_); }

  void put(const std::string& name, const std::string& text) const {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << text;
  }
  ModelText load(const std::string& own_template = {}) const {
    return load_model_text(folder_, {}, true, own_template);
  }
  static std::string rendered(const ModelText& text, bool with_tools) {
    Json variables = Json::Object{{"messages", Json::Array{}}, {"add_generation_prompt", true}};
    if (with_tools) variables.set("tools", Json::Array{Json::Object{{"type", "function"}}});
    return text.render(variables);
  }

  fs::path folder_ = fs::path(testing::TempDir()) / "model_text_test";
  const std::string for_tools_ =
      "{% for tool in tools %}T{% endfor %}{% for m in messages %}{% for call in m.tool_calls %}<tool_call>"
      "{{ {'name': call.function.name, 'arguments': call.function.arguments} | tojson }}</tool_call>"
      "{% endfor %}{% endfor %}";
};

TEST_F(ModelTemplates, ChatsWithToolsHaveOneOfTheirOwnWhereTheModelHas) {
  const Json named = Json::Array{Json::Object{{"name", "default"}, {"template", "plain"}},
                                 Json::Object{{"name", "tool_use"}, {"template", for_tools_}}};
  put("tokenizer_config.json", dump_json(Json::Object{{"chat_template", named}}));
  const ModelText listed = load();
  EXPECT_EQ(rendered(listed, false), "plain");
  EXPECT_EQ(rendered(listed, true), "T");
  EXPECT_EQ(listed.reply_format.tools, ToolFormat::kHermes);
  const ModelText own = load("{{ 'own' }}");
  EXPECT_EQ(rendered(own, true), "own");
  EXPECT_EQ(own.reply_format.tools, ToolFormat::kNone);

  put("chat_template.jinja", "newer");
  EXPECT_EQ(rendered(load(), true), "newer") << "the list is that of an older file";
  put("additional_chat_templates/tool_use.jinja", for_tools_);
  const ModelText files = load();
  EXPECT_EQ(rendered(files, false), "newer");
  EXPECT_EQ(rendered(files, true), "T");
  EXPECT_EQ(files.reply_format.tools, ToolFormat::kHermes);
}

TEST_F(ModelTemplates, GgufFilesNameThemByKeys) {
  const MetadataOverride templates[] = {{"tokenizer.chat_template", "plain"},
                                        {"tokenizer.chat_template.tool_use", for_tools_}};
  const ModelText text = load_model_text(data_path("gguf-models/llama-Q8_0.gguf"), templates, true);
  EXPECT_EQ(rendered(text, false), "plain");
  EXPECT_EQ(rendered(text, true), "T");
  EXPECT_EQ(text.reply_format.tools, ToolFormat::kHermes);
}

TEST_F(ModelTemplates, OneTemplateIsForAllChats) {
  put("tokenizer_config.json", dump_json(Json::Object{{"chat_template", "{{ 'tools' if tools else 'none' }}"}}));
  const ModelText text = load();
  EXPECT_EQ(rendered(text, false), "none");
  EXPECT_EQ(rendered(text, true), "tools");
}

}  // namespace
}  // namespace longship
