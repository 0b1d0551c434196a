#include "engine/sample/grammar/grammar_spec.h"

#include <algorithm>
#include <vector>

#include "core/error.h"
#include "core/json.h"
#include "engine/sample/grammar/automaton.h"
#include "engine/sample/grammar/gbnf.h"
#include "engine/sample/grammar/json_schema.h"
#include "engine/sample/grammar/json_text.h"
#include "engine/sample/grammar/marked_text.h"
#include "engine/sample/grammar/regex.h"
#include "engine/sample/grammar/tagged_text.h"

namespace longship {

namespace {

constexpr std::size_t kMostTextBytes = std::size_t{1} << 20U;

Grammar regex_grammar(const std::string& pattern) {
  Grammar grammar;
  const RuleId root = grammar.add_rule("root");
  grammar.define(root, add_regex(grammar, pattern, RegexAnchors::kWholeText).expr);
  return grammar;
}

Json parse(const std::string& text, const char* what) {
  auto parsed = parse_json(text);
  if (const auto* error = std::get_if<JsonError>(&parsed)) {
    refuse_grammar(std::string(what) + " is not JSON: offset " + std::to_string(error->offset) + ": " + error->rule);
  }
  return std::get<Json>(std::move(parsed));
}

Grammar choice_grammar(const std::string& text) {
  const Json choices = parse(text, "the list of choices");
  std::vector<std::string> texts;
  for (const Json& choice : choices.is_array() ? choices.as_array() : Json::Array{}) {
    if (!choice.is_string()) {
      refuse_grammar("a choice is no string");
    }
    texts.push_back(choice.as_string());
  }
  if (texts.empty()) {
    refuse_grammar("the list of choices is no array of at least one string");
  }
  Grammar grammar;
  const RuleId root = grammar.add_rule("root");
  grammar.define(root, grammar.one_of(std::move(texts)));
  return grammar;
}

Grammar schema_grammar(const std::string& text) {
  Grammar grammar;
  const RuleId root = grammar.add_rule("root");
  grammar.define(root, add_json_schema(grammar, parse(text, "the JSON schema")));
  return grammar;
}

Grammar object_grammar() {
  Grammar grammar;
  const RuleId root = grammar.add_rule("root");
  grammar.define(root, JsonText(grammar).object());
  return grammar;
}

Grammar read_grammar(const GrammarSpec& spec) {
  switch (spec.kind) {
    case GrammarSpec::Kind::kGbnf:
      return parse_gbnf(spec.text);
    case GrammarSpec::Kind::kRegex:
      return regex_grammar(spec.text);
    case GrammarSpec::Kind::kChoice:
      return choice_grammar(spec.text);
    case GrammarSpec::Kind::kJsonObject:
      return object_grammar();
    case GrammarSpec::Kind::kJsonSchema:
      return schema_grammar(spec.text);
    case GrammarSpec::Kind::kTagged:
      return tagged_grammar(parse(spec.text, "the list of tags"));
    case GrammarSpec::Kind::kNone:
      break;
  }
  LONGSHIP_CHECK(false, "there is a grammar to read");
}

void allow_reasoning(Grammar& grammar, const GrammarSpec::Reasoning& marks) {
  constexpr uint32_t kMostSpaces = 8;
  ByteSet spaces;
  for (const char c : {' ', '\t', '\n', '\r'}) spaces.add(static_cast<uint8_t>(c));
  const RuleId around = grammar.add_rule("around reasoning");
  grammar.define(around, grammar.repeat(grammar.bytes(spaces), 0, kMostSpaces));
  MarkedText thought(grammar, marks.close, around, false);
  const ExprId open = grammar.sequence({grammar.call(around), grammar.literal(marks.open), thought.any()});
  grammar.begin_with(marks.open.empty() ? thought.any() : grammar.optional(open));
}

}  // namespace

std::shared_ptr<const Automaton> compile_grammar(const GrammarSpec& spec) {
  if (spec.text.size() > kMostTextBytes) {
    refuse_grammar("the grammar has more than " + std::to_string(kMostTextBytes) + " bytes");
  }
  Grammar grammar = read_grammar(spec);
  if (!spec.reasoning.close.empty()) {
    allow_reasoning(grammar, spec.reasoning);
  }
  auto automaton = std::make_shared<const Automaton>(grammar);
  automaton->start();  // what is too ambiguous from its beginning is refused here
  return automaton;
}

}  // namespace longship
