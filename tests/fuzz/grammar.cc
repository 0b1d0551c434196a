#include "engine/sample/grammar/grammar_spec.h"

#include <chrono>

#include "core/error.h"
#include "tests/fuzz/targets.h"

namespace longship::fuzz {

void grammar(Input input) {
  using Clock = std::chrono::steady_clock;
  if (input.empty()) {
    return;
  }
  constexpr GrammarSpec::Kind kKinds[] = {GrammarSpec::Kind::kGbnf, GrammarSpec::Kind::kRegex,
                                          GrammarSpec::Kind::kChoice};
  const std::string_view text(reinterpret_cast<const char*>(input.data()), input.size());
  const auto begin = Clock::now();
  try {
    compile_grammar({kKinds[static_cast<unsigned char>(text.front()) % 3], std::string(text.substr(1))});
  } catch (const Error& error) {
    require(error.kind() == ErrorKind::kUsage, "a grammar that is none is its user's error");
  }
  require(Clock::now() - begin < std::chrono::seconds(5), "a grammar takes bounded time");
}

}  // namespace longship::fuzz
