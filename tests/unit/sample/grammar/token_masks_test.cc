#include "engine/sample/grammar/token_masks.h"

#include <chrono>
#include <random>

#include "engine/sample/grammar/guides.h"
#include "tests/unit/sample/grammar/accepts.h"

namespace longship {
namespace {

// Every byte, pieces of the grammars' texts, some of them broken, and one control token.
std::vector<std::string> vocabulary(const std::vector<std::string>& texts, unsigned seed) {
  std::vector<std::string> bytes(1);
  for (int byte = 0; byte < 256; ++byte) bytes.emplace_back(1, static_cast<char>(byte));
  std::mt19937 random(seed);
  for (const std::string& text : texts) {
    for (int i = 0; i < 40 && !text.empty(); ++i) {
      const std::size_t begin = random() % text.size();
      std::string piece = text.substr(begin, 1 + random() % 40);
      if (random() % 4 == 0) {
        piece[random() % piece.size()] = static_cast<char>(random());  // breaks characters of several bytes
      }
      bytes.push_back(std::move(piece));
    }
  }
  bytes.emplace_back("ab");
  bytes.emplace_back("ab");  // the same bytes twice
  return bytes;
}

TokenSet one_by_one(const Automaton& automaton, const TokenTrie& trie, const GrammarState& state) {
  TokenSet tokens(trie.vocab());
  for (int32_t token = 0; token < trie.vocab(); ++token) {
    const std::string& bytes = trie.bytes_of(token);
    if (!bytes.empty() && automaton.advance(state, bytes).alive()) tokens.add(token);
  }
  return tokens;
}

const std::vector<std::pair<GrammarSpec, std::vector<std::string>>>& samples() {
  using Kind = GrammarSpec::Kind;
  static const std::vector<std::pair<GrammarSpec, std::vector<std::string>>> kSamples = {
      {{Kind::kGbnf,
        "root ::= value\nvalue ::= object | array | string | number\n"
        "object ::= \"{\" ws (pair (\",\" ws pair)*)? \"}\" ws\npair ::= string \":\" ws value\n"
        "array ::= \"[\" ws (value (\",\" ws value)*)? \"]\" ws\n"
        "string ::= \"\\\"\" ([^\"\\\\\\x00-\\x1F] | \"\\\\\" [\"\\\\/bfnrt])* \"\\\"\" ws\n"
        "number ::= \"-\"? [0-9]+ ws\nws ::= [ \\n]{0,3}"},
       {"{\"a\": [1, -2], \"longer name\": {\"é\": \"語\\n\"}}", "[[[]], {\"x\":\"y\"}]", "\": \", \"}, {\""}},
      {{Kind::kRegex, "([a-z]{2,70} ){3,200}(a|ab|abc){65,100}!"},
       {"hello there over here", "abababcaabc!", "ab abc abcabcabc"}},
      {{Kind::kRegex, "(a|ab|b){3,80}c{66,}"}, {"aababababab", "bcccccccc", "ccccccccccc"}},
      // Lengths near their bounds, of characters of one byte and of several.
      {{Kind::kRegex, R"("([^"\\\x00-\x1F]|\\[nt"\\]){3,30}"( [a-zé語]{0,9}!?){1,40})"},
       {"\"the long ship, ", "语言語語éé語 \\n語é\\t and words and words", "abcdefghijklmnopqrstuvwxyz abcdef",
        "語é!ab é!語"}},
      {{Kind::kJsonSchema,
        R"({"type":"object","properties":{"a":{"type":"string","maxLength":25},"b":{"type":"array","maxItems":9,)"
        R"("items":{"type":"string","minLength":2,"maxLength":5}}},"required":["a","b"]})"},
       {R"({"a": "Harald the tall, 語語é\u00e9", "b": ["ab", "abcde", "éé語"]})",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", R"(bcd", "cde", "ab)"}},
      // Machines with a count of their steps, near both bounds.
      {{Kind::kJsonSchema,
        R"({"type":"array","items":{"type":"string","pattern":"^[a-z]([-a-z]*[a-z])?$","minLength":5,"maxLength":24}})"},
       {R"(["abc-def", "a-b-c-d-e-f-g-h-i-j", "ab-c", "xyz"])", "abcdefghijklmnopqrst-uvwxyz", "-----a-----b------c"}},
      {{Kind::kJsonSchema,
        R"({"type":"string","allOf":[{"pattern":"x.*y"},{"pattern":"^[^z]*$"}],"minLength":40,"maxLength":90})"},
       {"\"abcxabcyxyxyéé語語xxyy", "xabcdefghijklmnopqrstuvwy\"", "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy"}},
      // Counted characters that what follows takes as well, or that are parts of other counts.
      {{Kind::kRegex, "x[a-z]{3,70}[a-c]*!"}, {"xabcdefghijklmnopqrstuvw!", "abcabcaabbccabccccccbbbbaaaaacbca!"}},
      {{Kind::kRegex, "([a-z]{0,67}[a-m]{2,66}-){1,3}"}, {"abcdefghijklmnopqrst-", "aabbccddeeffgghhiijjkkllmm-a"}},
      {{Kind::kRegex, "[a-z]{66}z{0,67}!"}, {"abcdefghijklmnopqrstuvwxyz", "zzzzzzzzzzzzzzzzzzzzzzzzzz!"}},
      {{Kind::kRegex, "(?:[a-z][a-z]?){2,40}!"}, {"abcdefghijklmnopqrstuvwxyz!", "qrst!"}},
      {{Kind::kRegex, "\"[^\"]{0,80}\"( [^\"]{75,}\")+"},
       {"\"語言語éabcdefghijklmnopqrs\" t\"", "uvwxyz 語語é語語\" \" abc"}},
      // Rules that may end behind each of their characters, called where other text or more of the same follows.
      {{Kind::kGbnf, "root ::= line+\nline ::= word (\" \" word)* \"\\n\"\nword ::= [a-z\u00e9\u8a9e]+"},
       {"the ship sails\nover the sea\n", "語語 é語\nabc語", "abcdefghijklmnopqrstuvwxyz"}},
      {{Kind::kGbnf, "root ::= word word{2,20} \"!\"\nword ::= pair | [a-z]+\npair ::= [a-z]+ \"-\" [a-z]+"},
       {"abc-def-ghi!", "abcdefghijklmnopqrst", "a-b-c-d-e-f-g-h!"}},
      {{Kind::kChoice, R"(["yes","no","yes please","never","语言"])"}, {"yes please", "never 语言", "no no"}},
      {{Kind::kGbnf, "root ::= (a | b)* \".\"\na ::= [x-z]{0,90} b\nb ::= \"1\" a \"2\" | \"3\""},
       {"1xyz32.", "11xx3232.", "zzz33."}},
  };
  return kSamples;
}

TEST(TokenMasks, AllowExactlyTheTokensThatGoOn) {
  unsigned seed = 1;
  for (const auto& [spec, texts] : samples()) {
    SCOPED_TRACE(spec.text);
    const auto automaton = compile_grammar(spec);
    const auto trie = std::make_shared<const TokenTrie>(vocabulary(texts, seed));
    TokenMasks masks(automaton, trie);
    std::mt19937 random(++seed);
    for (int walk = 0; walk < 6; ++walk) {
      GrammarState state = automaton->start();
      std::string text;
      for (int step = 0; step < 60 && !state.threads.empty(); ++step) {
        const TokenSet allowed = masks.allowed(state);
        const TokenSet expected = one_by_one(*automaton, *trie, state);
        for (int32_t id = 0; id < trie->vocab(); ++id) {
          ASSERT_EQ(allowed.has(id), expected.has(id))
              << "token " << testing::PrintToString(trie->bytes_of(id)) << " behind " << testing::PrintToString(text);
        }
        std::vector<int32_t> ids;
        for (int32_t id = 0; id < trie->vocab(); ++id) {
          if (allowed.has(id)) ids.push_back(id);
        }
        ASSERT_FALSE(ids.empty()) << "a text that goes on has no way on";
        // Longer tokens more often, as random bytes rarely close anything.
        const int32_t a = ids[random() % ids.size()];
        const int32_t b = ids[random() % ids.size()];
        const std::string& piece = trie->bytes_of(trie->bytes_of(a).size() > trie->bytes_of(b).size() ? a : b);
        state = automaton->advance(state, piece);
        text += piece;
      }
    }
  }
}

TEST(TokenMasks, AreBoundedInMemory) {
  const auto automaton = compile_grammar({GrammarSpec::Kind::kRegex, "([ab]{1,100}c){1,100000}"});
  const auto trie = std::make_shared<const TokenTrie>(vocabulary({"abcabacbcbc", "aaaaaaaaaab"}, 3));
  TokenMasks masks(automaton, trie);
  GrammarState state = automaton->start();
  std::size_t most = 0;
  for (int i = 0; i < 20000; ++i) {
    masks.allowed(state);
    most = std::max(most, masks.bytes());
    state = automaton->advance(state, i % 37 == 36 ? 'c' : 'a');
  }
  EXPECT_LT(most, std::size_t{20} << 20U);
}

TEST(TokenMasks, GiveUpOnHostileAmbiguity) {
  for (const char* pattern : {"((a{1,1000}){1,1000}){1,1000}", "((a|b|ab|ba){1,3000}){1,3000}"}) {
    const auto automaton = compile_grammar({GrammarSpec::Kind::kRegex, pattern});
    const auto trie = std::make_shared<const TokenTrie>(vocabulary({"aaaaaaaaaaaaaaaaaaaaaa", "abababbaba"}, 3));
    TokenMasks masks(automaton, trie);
    GrammarState state = automaton->start();
    double slowest = 0;
    const auto generate = [&] {
      for (int i = 0; i < 3000; ++i) {
        const auto start = std::chrono::steady_clock::now();
        masks.allowed(state);
        state = automaton->advance(state, 'a');
        slowest = std::max(slowest, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
      }
    };
    EXPECT_THROW(generate(), Error) << pattern;
    EXPECT_LT(slowest, 2.0) << pattern;
  }
}

TEST(Guides, AdvanceOverAnEarlierOutput) {
  std::vector<std::string> bytes = {"", "a", "b", "ab", "!", "</s>"};
  int loads = 0;
  Guides guides([&] {
    ++loads;
    return std::make_shared<const TokenTrie>(bytes);
  });
  const GrammarSpec spec{GrammarSpec::Kind::kRegex, "(ab)+!?"};
  Guide fresh = guides.make(spec, {});
  for (const int32_t token : {3, 1, 2}) fresh.accept(token);
  const Guide resumed = guides.make(spec, std::vector<int32_t>{3, 1, 2});
  EXPECT_EQ(loads, 1);
  const std::vector<int32_t> ends = {5, 0};
  EXPECT_EQ(fresh.allowed(ends, 8), resumed.allowed(ends, 8));
  const TokenSet allowed = resumed.allowed(ends, 8);
  EXPECT_EQ(allowed.size(), 8);
  for (int32_t token = 0; token < 8; ++token) {
    EXPECT_EQ(allowed.has(token), token == 0 || token == 1 || token == 3 || token == 4 || token == 5) << token;
  }
  EXPECT_THROW(fresh.accept(2), Error);
  EXPECT_THROW(guides.make(spec, std::vector<int32_t>{2}), Error);
  fresh.accept(4);
  EXPECT_TRUE(fresh.must_end());
  EXPECT_FALSE(resumed.must_end());
}

TEST(Guides, EndTokensOnlyWhereTheTextMayEnd) {
  std::vector<std::string> bytes = {"a", "b", ""};
  Guides guides([&] { return std::make_shared<const TokenTrie>(bytes); });
  Guide guide = guides.make({GrammarSpec::Kind::kRegex, "ab*"}, {});
  const std::vector<int32_t> ends = {2, 1};  // one of them is text as well
  EXPECT_FALSE(guide.allowed(ends, 3).has(2));
  guide.accept(0);
  EXPECT_TRUE(guide.allowed(ends, 3).has(2));
  EXPECT_TRUE(guide.allowed(ends, 3).has(1));
}

}  // namespace
}  // namespace longship
