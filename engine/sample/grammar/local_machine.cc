#include "engine/sample/grammar/local_machine.h"

#include <algorithm>

namespace longship {

namespace {

constexpr std::size_t kMostBytes = std::size_t{64} << 20U;

}  // namespace

LocalMachine::LocalMachine(const Automaton& automaton, uint32_t longest) : automaton_(automaton), longest_(longest) {
  find_classes();
  clear();
}

// Each set splits the classes that it cuts.
void LocalMachine::find_classes() {
  classes_ = 1;
  for (const ByteSet& set : automaton_.graph().sets) {
    std::array<int, 256> inside;  // the class of those members of a class that are in the set
    inside.fill(-1);
    std::array<bool, 256> outside{};
    for (unsigned byte = 0; byte < 256; ++byte) {
      outside[class_of_[byte]] |= !set.has(static_cast<uint8_t>(byte));
    }
    for (unsigned byte = 0; byte < 256; ++byte) {
      const uint8_t old = class_of_[byte];
      if (set.has(static_cast<uint8_t>(byte)) && outside[old]) {
        if (inside[old] < 0) inside[old] = static_cast<int>(classes_++);
        class_of_[byte] = static_cast<uint8_t>(inside[old]);
      }
    }
  }
}

void LocalMachine::clear() {
  states_.clear();
  table_.clear();
  ids_.clear();
  bytes_ = 0;
  add({});
}

std::vector<uint32_t> LocalMachine::key_of(const GrammarState& state) const {
  std::vector<std::vector<uint32_t>> threads;
  for (const GrammarState::Thread& thread : state.threads) {
    std::vector<uint32_t> words{thread.node};
    for (const GrammarFrame* frame = thread.stack.get(); frame != nullptr; frame = frame->below.get()) {
      words.push_back(frame->node);
      words.push_back(coarse_count(*frame));
    }
    threads.push_back(std::move(words));
  }
  std::sort(threads.begin(), threads.end());
  std::vector<uint32_t> key{state.may_end ? 1U : 0U};
  for (const std::vector<uint32_t>& words : threads) {
    key.push_back(static_cast<uint32_t>(words.size()));
    key.insert(key.end(), words.begin(), words.end());
  }
  return key;
}

// A repetition that is more than `longest` bytes away from its bounds looks the same wherever it is, as each of its
// parts has a byte.
uint32_t LocalMachine::coarse_count(const GrammarFrame& frame) const {
  if (frame.count == GrammarFrame::kReturn) {
    return frame.count;
  }
  const Automaton::Repeat& repeat = automaton_.graph().repeats[automaton_.graph().nodes[frame.node].what];
  if (frame.count < repeat.least) {
    return repeat.least - frame.count > longest_ ? repeat.least - longest_ - 1 : frame.count;
  }
  if (repeat.most != kUnbounded && repeat.most - frame.count > longest_) {
    return std::max(repeat.least, repeat.most - longest_ - 1);
  }
  return frame.count;
}

LocalMachine::Cut LocalMachine::cut(const GrammarState::Thread& thread) const {
  std::vector<const GrammarFrame*> within;
  GrammarStack callers = thread.stack;
  uint32_t node = thread.node;
  while (automaton_.graph().nodes[node].in_body) {
    within.push_back(callers.get());
    node = callers->node;
    callers = callers->below;
  }
  Cut cut{nullptr, std::move(callers)};
  for (std::size_t i = within.size(); i-- > 0;) {
    cut.within = push_frame(within[i]->node, coarse_count(*within[i]), std::move(cut.within));
  }
  return cut;
}

LocalMachine::State LocalMachine::state_of(GrammarState local) {
  return add(std::move(local));
}

LocalMachine::State LocalMachine::add(GrammarState state) {
  std::vector<uint32_t> key = key_of(state);
  const auto [known, is_new] = ids_.try_emplace(std::move(key), static_cast<State>(states_.size()));
  if (!is_new) {
    return known->second;
  }
  const std::size_t key_bytes = known->first.size() * sizeof(uint32_t);
  bytes_ += 3 * key_bytes + classes_ * sizeof(State) + 200;  // about what it takes
  if (bytes_ > kMostBytes) {
    refuse_grammar("the grammar is too ambiguous: a token can be read in too many ways");
  }
  states_.push_back(std::move(state));
  table_.resize(states_.size() * classes_, states_.size() == 1 ? kDead : kUnknown);
  return known->second;
}

LocalMachine::State LocalMachine::find_next(State state, uint8_t byte) {
  const State next = add(automaton_.advance(states_[state], byte, &visits_));
  table_[std::size_t{state} * classes_ + class_of_[byte]] = next;
  return next;
}

}  // namespace longship
