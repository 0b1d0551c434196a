#include "engine/text/reply/json_scanner.h"

#include <gtest/gtest.h>

#include "core/json.h"

namespace longship {
namespace {

// Whether the text is one value and nothing else.
bool is_value(const std::string& text) {
  JsonScanner scanner;
  for (std::size_t i = 0; i < text.size(); ++i) {
    switch (scanner.push(text[i])) {
      case JsonScanner::Step::kMore:
        break;
      case JsonScanner::Step::kEnd:
        return i + 1 == text.size();
      default:
        return false;
    }
  }
  return scanner.push(' ') == JsonScanner::Step::kEndBefore;  // a number
}

TEST(JsonScanner, AgreesWithTheParser) {
  const std::vector<std::string> texts = {
      "{}", "[]", "{\"a\":1}", " [1, 2.5, -3e+7, 0, 0.1E-2]", "\"a\\n\\u00e4\\\"\"", "true", "false", "null", "17",
      "-0.5", "[[[{}]]]", "{\"a\": {\"b\": [true, null]}, \"c\": \"\"}", "[\"]\", \"}\"]",
      // Not JSON.
      "{a:1}", "{\"a\" 1}", "{\"a\":1,}", "[1,]", "[1 2]", "{\"a\":}", "[}", "{]", "nul ", "tru\"", "01", "-", "1.",
      "1e", ".5", "+1", "\"\\x\"", "\"\\u00g0\"", "{,}", "[,1]", "{\"a\":1]", "'a'", "{1:2}", "", "[--1]", "[1e5.5]"};
  for (const std::string& text : texts) {
    EXPECT_EQ(is_value(text), std::holds_alternative<Json>(parse_json(text))) << text;
  }
}

TEST(JsonScanner, HasALimitOfDepth) {
  EXPECT_TRUE(is_value(std::string(64, '[') + std::string(64, ']')));
  EXPECT_FALSE(is_value(std::string(65, '[') + std::string(65, ']')));
}

TEST(JsonScanner, LetsControlCharactersThroughInStrings) {
  EXPECT_TRUE(is_value("\"a\nb\""));
  EXPECT_FALSE(std::holds_alternative<Json>(parse_json("\"a\nb\"")));
}

}  // namespace
}  // namespace longship
