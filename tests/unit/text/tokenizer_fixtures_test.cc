// Ids, texts and streams of tokenizers as independent implementations give them.
#include <gtest/gtest.h>

#include <chrono>

#include "core/error.h"
#include "engine/text/detokenizer.h"
#include "tests/support/fixtures.h"

namespace longship {
namespace {

using testing::read_jsonl;

std::vector<int32_t> ids_of(const Json& line) {
  std::vector<int32_t> ids;
  for (const Json& id : line.find("ids")->as_array()) {
    ids.push_back(static_cast<int32_t>(id.as_int()));
  }
  return ids;
}

void check_cases(const Tokenizer& tokenizer, const std::filesystem::path& folder, const std::string& name) {
  int failures = 0;
  for (const Json& line : read_jsonl(folder / "cases.jsonl")) {
    const EncodeOptions options{line.find("add_special")->as_bool(), line.find("parse_special")->as_bool()};
    const auto ids = tokenizer.encode(line.find("text")->as_string(), options);
    if (ids != ids_of(line) && ++failures <= 3) {
      ADD_FAILURE() << name << ": " << dump_json(line) << " encodes to " << ::testing::PrintToString(ids);
    }
  }
  for (const Json& line : read_jsonl(folder / "decode.jsonl")) {
    const std::string text = tokenizer.decode(ids_of(line), line.find("skip_special")->as_bool());
    if (text != line.find("text")->as_string() && ++failures <= 6) {
      ADD_FAILURE() << name << ": " << dump_json(line) << " decodes to " << text;
    }
  }
  EXPECT_EQ(failures, 0) << name;
}

void check_streams(const std::shared_ptr<const Tokenizer>& tokenizer, const std::filesystem::path& folder) {
  for (const Json& line : read_jsonl(folder / "stream.jsonl")) {
    Detokenizer detokenizer(tokenizer);
    Json::Array pieces;
    for (const int32_t id : ids_of(line)) {
      pieces.emplace_back(detokenizer.push(id));
    }
    ASSERT_EQ(Json(pieces), *line.find("pieces")) << folder << ": " << dump_json(line);
    ASSERT_EQ(Json(detokenizer.flush()), *line.find("tail")) << folder << ": " << dump_json(line);
  }
}

class TrainedTokenizer : public ::testing::TestWithParam<const char*> {};

TEST_P(TrainedTokenizer, GivesTheIdsOfTheOracle) {
  const auto folder = testing::data_path("tokenizers") / GetParam();
  for (const char* file : {"tokenizer.json", "tokenizer.gguf"}) {
    const bool is_there = std::filesystem::exists(folder / file);
    EXPECT_TRUE(is_there || std::string_view(file) == "tokenizer.gguf") << folder;
    if (is_there) {
      const auto tokenizer = Tokenizer::load(folder / file);
      check_cases(*tokenizer, folder, std::string(GetParam()) + "/" + file);
      check_streams(tokenizer, folder);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, TrainedTokenizer,
                         ::testing::Values("trained-bpe-gpt2", "trained-bpe-gpt2-prefix", "trained-bpe-llama3",
                                           "trained-bpe-qwen2"));

TEST(ThirdPartyTokenizers, GiveTheIdsOfTheOracle) {
  const auto fixtures = testing::third_party_fixtures();
  if (!fixtures) {
    GTEST_SKIP() << "set LONGSHIP_FIXTURES to the folder of third-party fixtures to run this test";
  }
  const auto root = *fixtures / "tokenizers";
  std::ifstream file(root / "manifest.json");
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const Json folders = std::get<Json>(parse_json(text));
  for (const Json::Member& member : folders.as_object()) {
    if (*member.second.find("kind") != Json("byte-level BPE")) {
      continue;
    }
    std::vector<MetadataOverride> overrides;
    if (const Json* changes = member.second.find("override")) {
      for (const Json::Member& change : changes->as_object()) {
        overrides.push_back({change.first, change.second.as_string()});
      }
    }
    for (const Json& name : member.second.find("files")->as_array()) {
      if (name.as_string() == "tekken.json") {
        continue;  // Mistral's own form
      }
      const auto tokenizer = Tokenizer::load(root / member.first / name.as_string(), overrides);
      check_cases(*tokenizer, root / member.first, member.first + "/" + name.as_string());
      check_streams(tokenizer, root / member.first);
    }
  }
}

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr double kSecondsForAMegabyte = 10;  // sanitizers take their share
#else
constexpr double kSecondsForAMegabyte = 1;
#endif

TEST(Tokenizer, EncodesAMegabyteOfOneLetterInUnderASecond) {
  for (const char* name : {"trained-bpe-gpt2", "trained-bpe-llama3", "trained-bpe-qwen2"}) {
    const auto tokenizer = Tokenizer::load(testing::data_path("tokenizers") / name);
    const std::string text(1 << 20, 'a');
    const auto begin = std::chrono::steady_clock::now();
    const auto ids = tokenizer->encode(text);
    const auto took = std::chrono::steady_clock::now() - begin;
    EXPECT_LT(std::chrono::duration<double>(took).count(), kSecondsForAMegabyte) << name;
    EXPECT_EQ(tokenizer->decode(ids, true), text);
  }
}

TEST(Tokenizer, TextOfAUserIsNotParsedForSpecialTokens) {
  const auto tokenizer = Tokenizer::load(testing::data_path("tokenizers") / "trained-bpe-llama3");
  const int32_t special = *tokenizer->find("<|eot_id|>");
  const auto plain = tokenizer->encode("a<|eot_id|>b", {.add_special = false, .parse_special = false});
  const auto parsed = tokenizer->encode("a<|eot_id|>b", {.add_special = false, .parse_special = true});
  EXPECT_EQ(std::count(plain.begin(), plain.end(), special), 0);
  EXPECT_EQ(std::count(parsed.begin(), parsed.end(), special), 1);
}

TEST(Tokenizer, InvalidUtf8BecomesReplacementCharacters) {
  const auto tokenizer = Tokenizer::load(testing::data_path("tokenizers") / "trained-bpe-gpt2");
  const auto ids = tokenizer->encode("a\xFFz\xE2\x82");
  EXPECT_EQ(tokenizer->decode(ids, true), "a\xEF\xBF\xBDz\xEF\xBF\xBD");
}

}  // namespace
}  // namespace longship
