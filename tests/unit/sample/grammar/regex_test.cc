#include "engine/sample/grammar/regex.h"

#include "tests/unit/sample/grammar/accepts.h"

namespace longship {
namespace {

constexpr auto kRegex = GrammarSpec::Kind::kRegex;
constexpr auto kChoice = GrammarSpec::Kind::kChoice;

TEST(GrammarRegex, TakesItsTextsAndNoOthers) {
  check(kRegex, {{"a|bc", {"a", "bc"}, {"", "b", "ac", "abc"}},
                 {"", {""}, {"a"}},
                 {"^ab$", {"ab"}, {"abc", "xab"}},
                 {"^a$|^b$", {"a", "b"}, {"ab"}},
                 {"(?:ab)+(?P<name>c)?(?<other>d)*", {"ab", "ababc", "abddd"}, {"", "abcc"}},
                 {"a{2}b{1,}c{,2}d{1,3}", {"aabd", "aabbccddd"}, {"abd", "aabcccd"}},
                 {"a+?b*?c??", {"a", "aabbc"}, {""}},
                 {"x{,}y{a}z{", {"x{,}y{a}z{"}, {"xyz"}},
                 {"[a-c\\d_-]{3}", {"a1-", "__9"}, {"d11", "ab"}},
                 {"[^\\w\\s]", {"-", "é"}, {"a", " ", "", "\u2007"}},
                 {"\\S", {"-", "é"}, {" ", "\u2007", "\uFEFF"}},
                 {"[]a]b[^]c]", {"]bx", "ab "}, {"]bc", "b"}},
                 {"\\d{4}-\\d\\d", {"2024-05"}, {"224-05", "2024-5"}},
                 {".", {"a", "語", "\t"}, {"\n", "\r", ""}},
                 {"\\x41\\u00e9\\u{1F600}\\.\\/\\\\\\n", {"Aé\xF0\x9F\x98\x80./\\\n"}, {"A"}},
                 {"\\ud83d\\ude00", {"\xF0\x9F\x98\x80"}, {""}},
                 {"[\\u4e00-\\u9fff]+", {"語言"}, {"a", "\xE4\xB8"}},
                 {"(a|b|)c", {"ac", "c"}, {"a"}},
                 {"(a*)*b", {"b", "aab"}, {"a"}},
                 {"(\\+1)?\\(\\d{3}\\)[ -]\\d{3}-\\d{4}", {"(555) 123-4567", "+1(555)-123-4567"}, {"555 123-4567"}},
                 {"(a|aa){40,90}", {repeated("a", 40), repeated("a", 180)}, {repeated("a", 39), repeated("a", 181)}},
                 {"\\A[ab]\\Z", {"a"}, {"ab"}}});
}

TEST(GrammarRegex, RefusesByNameWhatItLacks) {
  const std::vector<std::pair<std::string, std::string>> refusals = {
      {"a(?=b)", "look-around"},
      {"(?<!a)b", "look-around"},
      {"(a)\\1", "back-reference"},
      {"(?P=n)", "back-reference"},
      {"\\bword", "word boundary"},
      {"\\p{L}", "Unicode property"},
      {"(?i)a", "flags"},
      {"a++", "possessive"},
      {"(?>a)", "atomic"},
      {"[[:alpha:]]", "class by name"},
      {"a^b", "^ stands somewhere"},
      {"a$b", "$ stands somewhere"},
      {"(^a)", "^ stands somewhere"},
      {"(", "a ( has no )"},
      {")", "a ) has no ("},
      {"[a", "a class has no ]"},
      {"*a", "nothing to repeat"},
      {"a**", "is repeated"},
      {"a{3,2}", "wrong way round"},
      {"a{99999999}", "above"},
      {"[z-a]", "wrong way round"},
      {"\\", "ends in a backslash"},
      {"\\q", "escape \\q"},
      {"\\xg0", "hexadecimal"},
      {"\\ud800", "no character"},
      {"(?:", "a ( has no )"},
      {"(?", "flags"},
      {"\xFF", "not UTF-8"},
      {"[]", "a class has no ]"},
  };
  for (const auto& [text, words] : refusals) {
    const std::string cause = refusal(kRegex, text);
    EXPECT_NE(cause.find(words), std::string::npos) << text << ": " << cause;
  }
}

TEST(GrammarRegex, HostilePatternsAreQuick) {
  check_hostile(kRegex, {{"(((a+)+)+)+b", ""},
                         {"(a|a|aa)*{2}", "is repeated"},
                         {"((a{1,1000}){1,1000}){1,1000}", ""},
                         {"a{1,1000000}", ""},
                         {"(a?){1000000}", "may be empty"},
                         {repeated("(", 50000), "nested"},
                         {repeated("(a|", 150) + repeated(")", 150), ""},
                         {repeated("a?", 20000) + repeated("a", 20000), "too ambiguous"},
                         {repeated("(.*)", 4000), "too ambiguous"},
                         {repeated("[^a]{60}", 5000), ""},
                         {repeated("[^a]{60}", 9000), "nodes"},
                         {"[" + repeated("\\u4e00-\\u9fff", 20000) + "]", ""}});
}

TEST(GrammarChoice, TakesOneOfItsStrings) {
  check(kChoice,
        {{R"(["yes","no","yes please","né",""])", {"yes", "no", "yes please", "né", ""}, {"ye", "yes ", "n"}}});
  EXPECT_NE(refusal(kChoice, "[]"), "");
  EXPECT_NE(refusal(kChoice, "{}"), "");
  EXPECT_NE(refusal(kChoice, "[1]"), "");
  EXPECT_NE(refusal(kChoice, "[\"a\""), "");
  std::string many = "[";
  std::string longer = "[";
  for (int i = 0; i < 30000; ++i) many += "\"choice " + std::to_string(i * 7919) + "\",";
  for (int i = 1; i < 1400; ++i) longer += "\"" + std::string(static_cast<std::size_t>(i), 'a') + "\",";
  check_hostile(kChoice, {{many + "\"last\"]", ""}, {longer + "\"last\"]", ""}});
}

}  // namespace
}  // namespace longship
