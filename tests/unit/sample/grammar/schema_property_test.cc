// Texts made at random under the masks of random schemas are what the schemas say.
#include <cstdlib>
#include <random>

#include "engine/sample/grammar/guides.h"
#include "tests/unit/sample/grammar/accepts.h"
#include "tests/unit/sample/grammar/json_validator.h"
#include "tests/unit/sample/grammar/random_schema.h"
#include "tests/unit/sample/grammar/random_text.h"

namespace longship {
namespace {

constexpr auto kSchema = GrammarSpec::Kind::kJsonSchema;

std::shared_ptr<const TokenTrie> pieces() {
  std::vector<std::string> bytes;
  for (int byte = 0; byte < 256; ++byte) bytes.emplace_back(1, static_cast<char>(byte));
  for (const char* piece :
       {"\": ", "\", \"", "},", "]}", "name", "\"name", "tru", "nul", "12", ".5", "\\u00", "ö", "foo"}) {
    bytes.emplace_back(piece);
  }
  return std::make_shared<const TokenTrie>(std::move(bytes));
}

struct Outcome {
  int texts = 0;
  int unfinished = 0;
  int refused = 0;
};

Outcome run(const std::shared_ptr<const TokenTrie>& trie, unsigned first, unsigned count, int texts) {
  Outcome outcome;
  for (unsigned seed = first; seed < first + count; ++seed) {
    const Json schema = RandomSchema(seed).make();
    SCOPED_TRACE("seed " + std::to_string(seed) + ": " + dump_json(schema));
    std::shared_ptr<const Automaton> automaton;
    try {
      automaton = compile_grammar({kSchema, dump_json(schema)});
    } catch (const Error& error) {
      // Some ask for what cannot be, or only without end.
      const bool right = error.cause().find("no text of finite length") != std::string::npos ||
                         error.cause().find("not supported") != std::string::npos ||
                         error.cause().find("call itself") != std::string::npos ||
                         error.cause().find("outside of minLength") != std::string::npos;
      EXPECT_TRUE(right) << error.cause();
      ++outcome.refused;
      continue;
    }
    TokenMasks masks(automaton, trie);
    std::mt19937 random(seed);
    for (int i = 0; i < texts; ++i) {
      const std::optional<std::string> text = random_text(masks, random);
      if (!text) {
        ++outcome.unfinished;
        continue;
      }
      ++outcome.texts;
      const auto parsed = parse_json(*text, {.unique_keys = false});
      EXPECT_TRUE(std::holds_alternative<Json>(parsed)) << *text;
      if (std::holds_alternative<Json>(parsed)) {
        EXPECT_TRUE(JsonValidator(schema).valid(std::get<Json>(parsed))) << *text;
      }
    }
    if (::testing::Test::HasFailure()) return outcome;
  }
  return outcome;
}

TEST(SchemaProperty, BytesAndPiecesMakeValidTexts) {
  const bool all = std::getenv("LONGSHIP_TEST_LONG") != nullptr;
  const Outcome outcome = run(pieces(), 1, all ? 5000 : 1500, 3);
  RecordProperty("texts", outcome.texts);
  EXPECT_GT(outcome.texts, 3000);
  EXPECT_LT(outcome.refused, all ? 1000 : 300);
  EXPECT_LT(outcome.unfinished, all ? 1000 : 300);
}

TEST(SchemaProperty, TokensOfATokenizerMakeValidTexts) {
  const Outcome outcome = run(tokens_of("trained-bpe-llama3"), 5001, 150, 3);
  EXPECT_GT(outcome.texts, 300);
  EXPECT_LT(outcome.unfinished, 60);
}

}  // namespace
}  // namespace longship
