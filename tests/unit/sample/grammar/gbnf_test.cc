#include "engine/sample/grammar/gbnf.h"

#include "tests/unit/sample/grammar/accepts.h"

namespace longship {
namespace {

constexpr auto kGbnf = GrammarSpec::Kind::kGbnf;

TEST(Gbnf, TakesItsTextsAndNoOthers) {
  check(kGbnf,
        {{"root ::= \"ab\" | \"cd\"", {"ab", "cd"}, {"", "a", "abc", "abcd"}},
         {"root ::= [a-c]+ [^a-c\\n]*", {"a", "abcx", "cé\xF0\x9F\x98\x80"}, {"", "x", "ax\n", "a\xFF", "a\xC3"}},
         {"root ::= (\"a\" | \"b\" \"c\"?){2,3} \"!\"", {"aa!", "bca!", "abbc!"}, {"a!", "aaaa!", "aa"}},
         {"root ::= \"x\"{3} \"y\"{2,}", {"xxxyy", "xxxyyyyy"}, {"xxyy", "xxxy", "xxxxyy"}},
         {"root ::= item{100,300}\nitem ::= \"ab\" | \"c\"",
          {repeated("ab", 100), repeated("c", 300), repeated("abc", 150)},
          {repeated("ab", 99), repeated("c", 301)}},
         {"root ::= word more{1,200}\nword ::= [a-z]+\nmore ::= \",\" word", {"a,b", "ab,cd,ef"}, {"a", "a,"}},
         {"root ::= a{70,}\na ::= [x-z]", {repeated("x", 70), repeated("y", 500)}, {repeated("z", 69)}},
         {"root ::= .", {"a", "\n", "ß", "語", "\xF4\x8F\xBF\xBF"}, {"", "ab", "\xED\xA0\x80", "\xC0\x80"}},
         {"root ::= \"\\x41\\u00e9\\U0001F600\\\"\\\\\\t\"", {"Aé\xF0\x9F\x98\x80\"\\\t"}, {"A"}},
         {"root ::= [\\]\\[\\-a\\\\]", {"]", "[", "-", "a", "\\"}, {"b"}},
         {"root ::= [a-] \"z\"", {"az", "-z"}, {"bz"}},
         {"# a comment\nroot ::= # another\n  one |\n  two # last\n\none ::= (\n  \"1\"\n  \"!\"\n)\ntwo ::= \"2\"",
          {"1!", "2"},
          {"1", "12"}},
         {"root ::= \"(\" root \")\" | \"\"", {"", "()", "((()))"}, {"(", "())"}},
         {"root ::= expr\nexpr ::= term (\"+\" term)*\nterm ::= [0-9]+ | \"(\" expr \")\"",
          {"1", "1+2", "(1+(2+3))+4"},
          {"1+", "(1", "1)"}},
         {"root ::= a b\na ::= \"x\"?\nb ::= \"y\"*", {"", "x", "yy", "xyy"}, {"xx", "yx"}},
         {"root ::= ((\"a\"*)*)* \"b\"", {"b", "aab"}, {"", "a"}},
         {"root ::= (\"a\" | \"a\" \"a\" | \"\")*", {"", "a", repeated("a", 60)}, {"b"}}});
}

TEST(Gbnf, RefusesWhatIsNoGrammar) {
  const std::vector<std::pair<std::string, std::string>> refusals = {
      {"", "no rule \"root\""},
      {"other ::= \"a\"", "no rule \"root\""},
      {"root ::= a", "\"a\" is used and not defined"},
      {"root ::= \"a", "line 1: a literal has no closing"},
      {"root ::= \"b\"\nx ::= [a", "line 2: a class has no closing"},
      {"root ::= (\"a\"", "has no )"},
      {"root ::= \"a\" )", "a rule ends with its line"},
      {"root ::= \"a\"{3,1}", "wrong way round"},
      {"root ::= \"a\"{x}", "no number"},
      {"root ::= \"a\"{99999999999}", "above"},
      {"root ::= [z-a]", "wrong way round"},
      {"root ::= \"\\q\"", "no such escape"},
      {"root ::= \"\\ud800\"", "escape"},
      {"root ::= \"a\"\nroot ::= \"b\"", "defined twice"},
      {"root = \"a\"", "::= is missing"},
      {"root ::= <[5]>", "not supported"},
      {"root ::= \"\xFF\"", "not UTF-8"},
      {"root ::= root \"a\" | \"b\"", "\"root\" can call itself"},
      {"root ::= a\na ::= b? c\nb ::= \"x\"\nc ::= a \"y\" | \"z\"", "can call itself"},
      {"root ::= \"a\" root", "no text of finite length"},
      {"root ::= []", "no text of finite length"},
  };
  for (const auto& [text, words] : refusals) {
    const std::string cause = refusal(kGbnf, text);
    EXPECT_NE(cause.find(words), std::string::npos) << text << ": " << cause;
  }
}

TEST(Gbnf, HostileGrammarsAreQuick) {
  std::string chain = "root ::= r0\n";
  std::string doubling = "root ::= r0\n";
  std::string alternatives = "root ::= \"a\"";
  for (int i = 0; i < 20000; ++i) {
    chain += "r" + std::to_string(i) + " ::= r" + std::to_string(i + 1) + "\n";
    alternatives += " | \"a\" \"b\"";
  }
  for (int i = 0; i < 60; ++i) {
    const std::string next = "r" + std::to_string(i + 1);
    doubling += "r" + std::to_string(i) + " ::= " + next + " " + next + " | " + next + " \"x\"*\n";
  }
  check_hostile(kGbnf, {{"root ::= \"a\"{1,1000000}", ""},
                        {"root ::= ((((\"a\"{1,1000}){1,1000}){1,1000}){1,1000}){1,1000}", ""},
                        {"root ::= (((((((\"ab\"{30}){30}){30}){30}){30}){30}){30}){30}", ""},
                        {"root ::= (\"a\"?){1,1000000}", "may be empty"},
                        {"root ::= " + repeated("(", 100000) + "\"a\"" + repeated(")", 100000), "nested"},
                        {"root ::= " + repeated("((", 90) + "\"a\"" + repeated(")+)+", 90), ""},
                        {chain + "r20000 ::= \"a\"", ""},
                        {chain + "r20000 ::= r0", "can call itself"},
                        {doubling + "r60 ::= \"a\"", "too ambiguous"},
                        {alternatives, "too ambiguous"},
                        {"root ::= [" + repeated("a-z", 100000) + "]", ""},
                        {"root ::= \"" + repeated("a", 600000) + "\"", "more than"},
                        {repeated("x", 2000000), "more than"}});
}

}  // namespace
}  // namespace longship
