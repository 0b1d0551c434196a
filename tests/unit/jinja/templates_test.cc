// Snippets and real templates against what jinja2 makes of them.
#include <gtest/gtest.h>

#include "core/error.h"
#include "engine/text/chat_template.h"
#include "tests/support/fixtures.h"

namespace longship {
namespace {

std::tm fixture_clock() {
  std::tm now = {};
  now.tm_year = 126;
  now.tm_mon = 0;
  now.tm_mday = 15;
  now.tm_hour = 12;
  now.tm_min = 34;
  now.tm_sec = 56;
  now.tm_isdst = -1;
  std::mktime(&now);
  return now;
}

struct Outcome {
  bool error = false;
  std::string text;
};

Outcome render(const std::string& source, const Json& context) {
  try {
    return {false, ChatTemplate(source).render(context, fixture_clock())};
  } catch (const Error& error) {
    return {true, error.what()};
  }
}

// Lists and dicts may not be changed in place; an engine may render these all the same.
bool may_render(const Json& line) {
  const Json* type = line.find("error_type");
  return type != nullptr && *type == Json("SecurityError");
}

int check(const std::vector<Json>& lines, const std::function<std::string(const Json&)>& source_of,
          const std::string& name) {
  int failures = 0;
  for (const Json& line : lines) {
    const Outcome outcome = render(source_of(line), *line.find("context"));
    const bool wants_error = line.find("error") != nullptr;
    const bool right = wants_error ? outcome.error || may_render(line)
                                   : !outcome.error && outcome.text == line.find("expect")->as_string();
    if (!right && ++failures <= 20) {
      ADD_FAILURE() << name << " " << dump_json(*line.find(line.find("group") != nullptr ? "template" : "name"))
                    << "\n  expected " << (wants_error ? std::string("an error") : dump_json(*line.find("expect")))
                    << "\n  got " << (outcome.error ? "error: " : "") << dump_json(Json(outcome.text));
    }
    if (wants_error && outcome.error && line.find("message") != nullptr) {
      EXPECT_NE(outcome.text.find(line.find("message")->as_string()), std::string::npos) << outcome.text;
    }
  }
  return failures;
}

TEST(Templates, SnippetsRenderAsInJinja2) {
  const auto lines = testing::read_jsonl(testing::data_path("templates/snippets.jsonl"));
  EXPECT_GT(lines.size(), 400U);
  EXPECT_EQ(check(
                lines, [](const Json& line) { return line.find("template")->as_string(); }, "snippet"),
            0);
}

TEST(Templates, RealTemplatesRenderAsInJinja2) {
  const auto fixtures = testing::third_party_fixtures();
  if (!fixtures) {
    GTEST_SKIP() << "set LONGSHIP_FIXTURES to the folder of third-party fixtures to run this test";
  }
  int failures = 0;
  for (const auto& entry : std::filesystem::directory_iterator(*fixtures / "templates" / "cases")) {
    const auto source_of = [&](const Json& line) {
      std::ifstream file(*fixtures / "templates" / "templates" / line.find("template")->as_string(), std::ios::binary);
      return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    };
    failures += check(testing::read_jsonl(entry.path()), source_of, entry.path().filename());
  }
  EXPECT_EQ(failures, 0);
}

TEST(Templates, HostileTemplatesEndAsErrors) {
  const std::string deep(5000, '(');
  const std::string hostile[] = {
      "{{ " + deep + " }}",
      "{{ 'a' * 10 ** 9 }}",
      "{{ range(10 ** 9) }}",
      "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
      "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
      "{% set n = namespace(x=[]) %}{% for i in range(99999) %}{% set n.x = [n.x] %}{% endfor %}{{ n.x }}",
      "{% set n = namespace(s='xxxxxxxx') %}{% for i in range(99) %}{% set n.s = n.s ~ n.s %}{% endfor %}",
      "{{ 2 ** 9999 }}",
      "{{ '%999999999d' % 1 }}",
      "{{ '{:999999999}'.format(1) }}",
      "{{ 'x' | center(999999999) }}",
      "{{ 'x' | indent(999999999) }}",
      "{{ ('ab' * 1000) | replace('', 'x' * 100000) }}",
      "{{ 'x'.ljust(10 ** 12) }}",
      "{% include 'x' %}",
      "{{ " + std::string(100000, '-') + "1 }}",
      "{{ 1" + std::string(1, ' ') +
          [] {
            std::string s;
            for (int i = 0; i < 50000; ++i) {
              s += "+1";
            }
            return s;
          }() +
          " }}",
      [] {
        std::string s = "{{ x";
        for (int i = 0; i < 50000; ++i) {
          s += ".a";
        }
        return s + " }}";
      }(),
      [] {
        std::string s;
        for (int i = 0; i < 5000; ++i) {
          s += "{% if 1 %}";
        }
        return s;
      }(),
  };
  for (const std::string& source : hostile) {
    EXPECT_TRUE(render(source, Json(Json::Object{})).error) << source.substr(0, 80);
  }
}

TEST(Templates, ErrorsNameTheLine) {
  const Outcome outcome = render("a\nb\n{{ nope() }}", Json(Json::Object{}));
  EXPECT_TRUE(outcome.error);
  EXPECT_NE(outcome.text.find("line 3"), std::string::npos) << outcome.text;
}

TEST(Templates, NamespacesThatHoldEachOtherAreReleased) {
  EXPECT_EQ(render("{% set a = namespace() %}{% set b = namespace(a=a) %}{% set a.b = b %}{{ a.b.a is defined }}",
                   Json(Json::Object{}))
                .text,
            "True");
}

}  // namespace
}  // namespace longship
