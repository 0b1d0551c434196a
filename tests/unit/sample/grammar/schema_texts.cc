// Random texts of JSON schemas, for a judge that is not of this program (scripts/check-schemas).
//
//   longship_schema_texts TEXTS < SCHEMAS.jsonl > ANSWERS.jsonl
//
// A line in: {"schema": ..., "instances": [...]}. A line out: {"ms": time to compile, "refused": why} or {"ms": ...,
// "texts": [as many as asked, those that did not end left out], "walk_ms": for all of them, "taken": [whether each
// instance, as it is written without spaces, is one of the grammar's texts]}; "broken" says why a text could not go on.
#include <ctime>
#include <iostream>

#include "core/error.h"
#include "core/json.h"
#include "engine/sample/grammar/grammar_spec.h"
#include "tests/unit/sample/grammar/random_text.h"

namespace longship {
namespace {

// Of this process: other programs may use the machine.
double milliseconds_since(std::clock_t start) {
  return static_cast<double>(std::clock() - start) * 1000 / CLOCKS_PER_SEC;
}

bool takes(const Automaton& automaton, const std::string& text) {
  try {
    return automaton.advance(automaton.start(), text).may_end;
  } catch (const Error&) {
    return false;  // nested too deep
  }
}

Json answer_to(const Json& line, const std::shared_ptr<const TokenTrie>& trie, int texts) {
  Json answer;
  const std::string schema = dump_json(*line.find("schema"));
  const auto start = std::clock();
  std::shared_ptr<const Automaton> automaton;
  try {
    automaton = compile_grammar({GrammarSpec::Kind::kJsonSchema, schema});
  } catch (const Error& error) {
    answer.set("ms", milliseconds_since(start));
    answer.set("refused", error.cause());
    return answer;
  }
  answer.set("ms", milliseconds_since(start));
  Json::Array made;
  std::mt19937 random(1);
  TokenMasks masks(automaton, trie);
  const auto walk = std::clock();
  try {
    for (int i = 0; i < texts; ++i) {
      if (auto text = random_text(masks, random)) made.emplace_back(std::move(*text));
    }
  } catch (const std::exception& error) {
    answer.set("broken", error.what());
  }
  answer.set("walk_ms", milliseconds_since(walk));
  answer.set("texts", std::move(made));
  Json::Array taken;
  const Json* instances = line.find("instances");
  for (const Json& instance : instances == nullptr ? Json::Array{} : instances->as_array()) {
    taken.emplace_back(takes(*automaton, dump_json(instance)));
  }
  answer.set("taken", std::move(taken));
  return answer;
}

}  // namespace
}  // namespace longship

int main(int argc, char** argv) {
  const int texts = argc > 1 ? std::stoi(argv[1]) : 3;
  const auto trie = longship::tokens_of("trained-bpe-llama3");
  std::string line;
  while (std::getline(std::cin, line)) {
    const auto parsed = longship::parse_json(line, {.max_depth = 1000, .unique_keys = false});
    const auto* json = std::get_if<longship::Json>(&parsed);
    if (json == nullptr || json->find("schema") == nullptr) {
      std::cerr << "a line is no JSON object with a schema\n";
      return 1;
    }
    std::cout << longship::dump_json(longship::answer_to(*json, trie, texts)) << std::endl;
  }
}
