#include "engine/sample/grammar/grammar_spec.h"

#include <chrono>
#include <iterator>

#include "core/error.h"
#include "tests/fuzz/targets.h"

namespace longship::fuzz {

void grammar(Input input) {
  using Clock = std::chrono::steady_clock;
  if (input.empty()) {
    return;
  }
  using Kind = GrammarSpec::Kind;
  constexpr Kind kKinds[] = {Kind::kGbnf, Kind::kRegex, Kind::kChoice, Kind::kJsonSchema, Kind::kTagged};
  const std::string_view text(reinterpret_cast<const char*>(input.data()), input.size());
  const auto begin = Clock::now();
  try {
    compile_grammar(
        {kKinds[static_cast<unsigned char>(text.front()) % std::size(kKinds)], std::string(text.substr(1))});
  } catch (const Error& error) {
    require(error.kind() == ErrorKind::kUsage, "a grammar that is none is its user's error");
  }
  require(Clock::now() - begin < std::chrono::seconds(5), "a grammar takes bounded time");
}

}  // namespace longship::fuzz
