#include "launcher/options/speculative_config.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace longship {
namespace {

std::vector<int64_t> numbers(const Speculation& options) {
  EXPECT_EQ(options.draft_tokens, 0);
  return {options.lookup.draft_tokens, options.lookup.most_match, options.lookup.least_match};
}

TEST(SpeculativeConfig, IsReadAsVllmReadsIt) {
  const std::pair<const char*, std::vector<int64_t>> cases[] = {
      {R"({"method":"ngram","num_speculative_tokens":5,"prompt_lookup_max":4})", {5, 4, 4}},
      {R"({"num_speculative_tokens":3,"prompt_lookup_min":2})", {3, 2, 2}},
      {R"({"method":"ngram","num_speculative_tokens":1})", {1, 5, 5}},
      {R"({"prompt_lookup_min":1,"prompt_lookup_max":8,"num_speculative_tokens":64})", {64, 8, 1}},
  };
  for (const auto& [text, expected] : cases) {
    const Speculation options = parse_speculative_config(text);
    EXPECT_EQ(numbers(options), expected) << text;
    EXPECT_EQ(numbers(parse_speculative_config(speculative_config_text(options))), expected);
  }
}

TEST(SpeculativeConfig, NamesADraftModel) {
  for (const char* text : {R"({"model":"small.gguf","num_speculative_tokens":3})",
                           R"({"method":"draft_model","model":"small.gguf","num_speculative_tokens":3})"}) {
    const Speculation options = parse_speculative_config(text);
    EXPECT_EQ(options.draft_model, "small.gguf");
    EXPECT_EQ(options.draft_tokens, 3);
    EXPECT_EQ(options.lookup.draft_tokens, 0);
    const Speculation again = parse_speculative_config(speculative_config_text(options));
    EXPECT_EQ(again.draft_model, std::filesystem::absolute("small.gguf")) << "ranks may start elsewhere";
    EXPECT_EQ(again.draft_tokens, 3);
  }
}

TEST(SpeculativeConfig, WhatItDoesNotKnowIsRefusedByName) {
  const std::pair<const char*, const char*> cases[] = {
      {"ngram", "JSON object"},
      {"[5]", "JSON object"},
      {R"({"method":"eagle","num_speculative_tokens":5})", "ngram"},
      {R"({"method":"ngram","model":"x","num_speculative_tokens":5})", "model"},
      {R"({"method":"draft_model","num_speculative_tokens":5})", "model"},
      {R"({"model":"x","num_speculative_tokens":5,"prompt_lookup_max":3})", "prompt_lookup"},
      {R"({"model":7,"num_speculative_tokens":5})", "text"},
      {R"({"modle":"x","num_speculative_tokens":5})", "\"modle\""},
      {R"({"method":"ngram"})", "num_speculative_tokens"},
      {R"({"num_speculative_tokens":0})", "num_speculative_tokens"},
      {R"({"num_speculative_tokens":2.5})", "num_speculative_tokens"},
      {R"({"num_speculative_tokens":1000000})", "64"},
      {R"({"num_speculative_tokens":5,"prompt_lookup_max":2,"prompt_lookup_min":3})", "prompt_lookup_min"},
  };
  for (const auto& [text, word] : cases) {
    try {
      parse_speculative_config(text);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      EXPECT_NE(error.cause().find(word), std::string::npos) << error.cause();
    }
  }
}

}  // namespace
}  // namespace longship
