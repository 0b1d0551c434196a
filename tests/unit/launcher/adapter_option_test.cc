#include "launcher/options/adapter_option.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "launcher/options/engine_flags.h"

namespace longship {
namespace {

TEST(AdapterOption, IsReadAsVllmReadsIt) {
  for (const char* text : {"sql=adapters/sql", R"({"name":"sql","path":"adapters/sql"})",
                           R"({"name":"sql","path":"adapters/sql","base_model_name":"ship"})"}) {
    const AdapterOption adapter = parse_adapter(text);
    EXPECT_EQ(adapter.name, "sql") << text;
    EXPECT_EQ(adapter.path, "adapters/sql") << text;
  }
  EXPECT_EQ(parse_adapter("a=b=c").path, "b=c");
}

TEST(AdapterOption, WhatNamesNoAdapterIsRefused) {
  for (const char* text :
       {"", "sql", "=path", "sql=", "{", "[]", R"({"name":"sql"})", R"({"path":"p"})", R"({"name":7,"path":"p"})",
        R"({"name":"a","path":"p","rank":4})", R"({"name":"a=b","path":"p"})", R"({"name":"","path":"p"})"}) {
    try {
      parse_adapter(text);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      EXPECT_FALSE(error.remedy().empty());
    }
  }
}

TEST(AdapterOption, NamesAreOfOneModelEach) {
  const std::vector<std::string> models = {"ship", "vessel"};
  const std::vector<AdapterOption> sound = {{"a", "p"}, {"b", "p"}};
  EXPECT_NO_THROW(check_adapter_names(sound, models));
  const std::vector<AdapterOption> twice = {{"a", "p"}, {"a", "q"}};
  EXPECT_THROW(check_adapter_names(twice, models), Error);
  const std::vector<AdapterOption> taken = {{"vessel", "p"}};
  EXPECT_THROW(check_adapter_names(taken, models), Error);
}

TEST(AdapterOption, RanksAreToldOfAllOfThem) {
  EngineFlags flags;
  flags.options.adapters = {{"a", "some/folder"}, {"b", "/other"}};
  const std::vector<std::string> words = engine_arguments(flags);
  std::vector<AdapterOption> told;
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    if (words[i] == "--lora-modules") told.push_back(parse_adapter(words[i + 1]));
  }
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[0].name, "a");
  EXPECT_EQ(told[0].path, std::filesystem::absolute("some/folder"));
  EXPECT_EQ(told[1].path, "/other");
}

}  // namespace
}  // namespace longship
