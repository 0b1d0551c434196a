#include "engine/sample/grammar/grammar_spec.h"

#include <algorithm>
#include <chrono>
#include <iterator>

#include "core/error.h"
#include "engine/sample/grammar/automaton.h"
#include "tests/fuzz/targets.h"

namespace longship::fuzz {

namespace {

// A text that the grammar lets through, chosen by the last bytes of the input. What is alive has a way on.
void walk(const Automaton& automaton, Input choices) {
  constexpr std::size_t kMostSteps = 24;
  GrammarState state = automaton.start();
  for (const std::byte choice : choices.last(std::min(choices.size(), kMostSteps))) {
    require(state.alive(), "a compiled grammar has a text, and so has each beginning of one");
    if (state.threads.empty()) {
      return;
    }
    const auto first = std::to_integer<unsigned>(choice);
    unsigned byte = first;
    const auto taken = [&] {
      const auto takes = [&](const GrammarState::Thread& thread) {
        return automaton.takes(thread, static_cast<uint8_t>(byte));
      };
      return std::any_of(state.threads.begin(), state.threads.end(), takes);
    };
    while (!taken()) {
      byte = (byte + 1) % 256;
      require(byte != first, "a thread takes a byte");
    }
    state = automaton.advance(state, static_cast<uint8_t>(byte));
  }
}

}  // namespace

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
    const auto automaton = compile_grammar(
        {kKinds[static_cast<unsigned char>(text.front()) % std::size(kKinds)], std::string(text.substr(1))});
    walk(*automaton, input);
  } catch (const Error& error) {
    require(error.kind() == ErrorKind::kUsage, "a grammar that is none is its user's error");
  }
  require(Clock::now() - begin < std::chrono::seconds(5), "a grammar takes bounded time");
}

}  // namespace longship::fuzz
