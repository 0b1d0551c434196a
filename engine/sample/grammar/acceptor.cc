#include "engine/sample/grammar/acceptor.h"

#include <algorithm>
#include <map>
#include <unordered_map>

#include "engine/sample/grammar/automaton.h"
#include "engine/sample/grammar/local_machine.h"

namespace longship {

namespace {

// 50 ms or so.
constexpr uint64_t kMostSteps = 100'000;
constexpr uint64_t kVisitsOfStep = 8;
constexpr std::size_t kMostStates = 8'000;

class GrammarAcceptor final : public Acceptor {
 public:
  explicit GrammarAcceptor(const Grammar& grammar) : automaton_(grammar), machine_(automaton_, UINT32_MAX) {}

  State start() override { return machine_.state_of(automaton_.start()); }
  State next(State state, uint8_t symbol) override { return machine_.next(state, symbol); }
  bool ends(State state) override { return machine_.ends(state); }
  uint64_t visits() const override { return machine_.visits(); }

 private:
  Automaton automaton_;
  LocalMachine machine_;
};

// `least` to `most` symbols, whatever they are. A state is one more than the symbols so far; behind `least`, without a
// bound, they are all alike.
class CountAcceptor final : public Acceptor {
 public:
  CountAcceptor(uint32_t least, uint32_t most) : least_(least), most_(most) {}

  State start() override { return 1; }
  State next(State state, uint8_t /*symbol*/) override {
    if (state == kDead) return kDead;
    if (most_ == kUnbounded) return std::min(state, least_) + 1;
    return state > most_ ? kDead : state + 1;
  }
  bool ends(State state) override { return state > least_; }

 private:
  uint32_t least_;
  uint32_t most_;
};

}  // namespace

std::unique_ptr<Acceptor> accept_grammar(const Grammar& grammar) {
  return std::make_unique<GrammarAcceptor>(grammar);
}

void Products::spend(uint64_t steps, const std::string& what) {
  steps_ += steps;
  if (steps_ > kMostSteps) refuse_grammar(what + " would take too many states");
}

ExprId Products::add(std::vector<Demand> demands, const ByteSet& symbols, const WriteSymbol& write,
                     const std::string& what, PartCount count) {
  if (const auto counted = grammar_.machine(states_of(demands, symbols, write, what), count)) return *counted;
  // Where not every number of symbols is possible, states tell how many there were.
  demands.push_back({std::make_unique<CountAcceptor>(count.least, count.most)});
  return grammar_.machine(states_of(demands, symbols, write, what));
}

std::vector<MachineState> Products::states_of(const std::vector<Demand>& demands, const ByteSet& symbols,
                                              const WriteSymbol& write, const std::string& what) {
  std::unordered_map<std::vector<uint32_t>, uint32_t, HashOfWords> numbers;
  std::vector<const std::vector<uint32_t>*> states;
  const auto number_of = [&](std::vector<uint32_t> state) {
    const auto [known, is_new] = numbers.try_emplace(std::move(state), static_cast<uint32_t>(states.size()));
    if (is_new) states.push_back(&known->first);
    return known->second;
  };
  std::vector<uint32_t> first;
  for (const Demand& demand : demands) first.push_back(demand.acceptor->start());
  number_of(std::move(first));
  std::vector<MachineState> machine;
  std::map<ByteSet, ExprId> written;
  uint64_t visits = 0;
  while (machine.size() < states.size()) {
    const std::vector<uint32_t> here = *states[machine.size()];
    std::map<uint32_t, ByteSet> ways;
    for (unsigned symbol = 0; symbol < 256; ++symbol) {
      if (!symbols.has(static_cast<uint8_t>(symbol))) continue;
      const uint64_t before = visits;
      visits = 0;
      for (const Demand& demand : demands) visits += demand.acceptor->visits();
      spend(states.size() > kMostStates ? kMostSteps : 1 + (visits - before) / kVisitsOfStep, what);
      std::vector<uint32_t> next = here;
      bool dead = false;
      for (std::size_t i = 0; i < demands.size(); ++i) {
        next[i] = demands[i].acceptor->next(here[i], static_cast<uint8_t>(symbol));
        dead = dead || (demands[i].holds && next[i] == Acceptor::kDead);
      }
      if (!dead) ways[number_of(std::move(next))].add(static_cast<uint8_t>(symbol));
    }
    bool may_end = true;
    for (std::size_t i = 0; i < demands.size(); ++i) {
      may_end = may_end && demands[i].acceptor->ends(here[i]) == demands[i].holds;
    }
    machine.push_back({.may_end = may_end});
    for (const auto& [to, set] : ways) {
      const auto [known, is_new] = written.try_emplace(set, 0);
      if (is_new) known->second = write(set);
      machine.back().ways.push_back({known->second, to});
    }
  }
  return machine;
}

}  // namespace longship
