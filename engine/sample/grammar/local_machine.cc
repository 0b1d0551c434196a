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
  reaches_.clear();
  fars_.clear();
  loops_.clear();
  starts_.clear();
  ids_.clear();
  counted_.clear();
  steps_.clear();
  bytes_ = 0;
  add({});
}

std::vector<uint32_t> LocalMachine::key_of(const GrammarState& state) const {
  std::vector<uint32_t> words;  // of all threads
  std::vector<std::pair<std::size_t, std::size_t>> threads;
  threads.reserve(state.threads.size());
  for (const GrammarState::Thread& thread : state.threads) {
    const std::size_t begin = words.size();
    words.push_back(thread.node);
    for (const GrammarFrame* frame = thread.stack.get(); frame != nullptr; frame = frame->below.get()) {
      words.push_back(frame->node);
      words.push_back(coarse_count(*frame));
    }
    threads.emplace_back(begin, words.size() - begin);
  }
  const auto words_of = [&](const auto& thread) { return std::span(words).subspan(thread.first, thread.second); };
  std::sort(threads.begin(), threads.end(), [&](const auto& a, const auto& b) {
    return std::ranges::lexicographical_compare(words_of(a), words_of(b));
  });
  std::vector<uint32_t> key{state.may_end ? 1U : 0U};
  key.reserve(1 + threads.size() + words.size());
  for (const auto& thread : threads) {
    key.push_back(static_cast<uint32_t>(thread.second));
    key.insert(key.end(), words_of(thread).begin(), words_of(thread).end());
  }
  return key;
}

// As each part of a repetition has a byte; 0: no bound is ahead. 1: every count is another.
uint32_t LocalMachine::bytes_to_bound(const GrammarFrame& frame) const {
  if (frame.count >= GrammarFrame::kFarWithin) {
    return 0;
  }
  const Automaton::Repeat& repeat = automaton_.repeat_of(frame);
  uint32_t bytes = 0;
  if (frame.count < repeat.least) {
    bytes = frame.count < repeat.near_least ? repeat.near_least - frame.count : 1;
  }
  if (repeat.most != kUnbounded) {
    const uint32_t room = frame.count < repeat.near_most ? repeat.near_most - frame.count : 1;
    bytes = bytes == 0 ? room : std::min(bytes, room);
  }
  return bytes;
}

uint32_t LocalMachine::far_count(const GrammarFrame& frame) const {
  if (bytes_to_bound(frame) == 0) {
    return frame.count;
  }
  return frame.count < automaton_.repeat_of(frame).least ? GrammarFrame::kFarBelow : GrammarFrame::kFarWithin;
}

// A repetition that is more than `longest` bytes away from its bounds looks the same wherever it is.
uint32_t LocalMachine::coarse_count(const GrammarFrame& frame) const {
  return bytes_to_bound(frame) > longest_ ? far_count(frame) : frame.count;
}

uint32_t LocalMachine::find_reach(const GrammarState& state) const {
  uint32_t reach = 0;
  for (const GrammarState::Thread& thread : state.threads) {
    for (const GrammarFrame* frame = thread.stack.get(); frame != nullptr; frame = frame->below.get()) {
      const uint32_t bytes = bytes_to_bound(*frame);
      if (bytes != 0 && bytes <= longest_) {
        reach = reach == 0 ? bytes : std::min(reach, bytes);
      }
    }
  }
  return reach;
}

uint64_t LocalMachine::starts(State state) {
  if (starts_[state] == 0) {
    uint64_t found = kBrokenText;
    for (const CharKind& kind : char_kinds()) {
      const ByteRange& range = kind.bytes.front();
      for (unsigned byte = range.first; byte <= range.last && (found & kind.bit) == 0; ++byte) {
        found |= next(state, static_cast<uint8_t>(byte)) != kDead ? kind.bit : 0;
      }
    }
    starts_[state] = found;
  }
  return starts_[state];
}

GrammarStack LocalMachine::far_stack(const GrammarStack& stack) const {
  if (stack == nullptr) {
    return nullptr;
  }
  return push_frame(stack->node, far_count(*stack), far_stack(stack->below));
}

LocalMachine::State LocalMachine::far(State state) {
  if (fars_[state] == kUnknown) {
    GrammarState coarse;
    coarse.may_end = states_[state].may_end;
    for (const GrammarState::Thread& thread : states_[state].threads) {
      coarse.threads.push_back({thread.node, far_stack(thread.stack)});
    }
    const State found = add(std::move(coarse));
    fars_[state] = found;
  }
  return fars_[state];
}

// Whether every such character leads from the state to that other, and the rule cannot have ended within it.
bool LocalMachine::leads(State state, std::span<const ByteRange> bytes, State end) {
  std::vector<State> reached{state};
  for (const ByteRange& range : bytes) {
    std::vector<State> behind;
    for (const State from : reached) {
      for (unsigned byte = range.first; byte <= range.last; ++byte) {
        const State to = next(from, static_cast<uint8_t>(byte));
        if (to == kDead) {
          return false;
        }
        if (std::find(behind.begin(), behind.end(), to) == behind.end()) {
          behind.push_back(to);
        }
      }
    }
    const bool whole = &range == &bytes.back();
    if (!whole && std::any_of(behind.begin(), behind.end(), [&](State to) { return ends(to); })) {
      return false;
    }
    reached = std::move(behind);
  }
  return reached.size() == 1 && reached.front() == end;
}

// Bits that stand only for kinds of which it holds.
uint64_t LocalMachine::kinds_that(const std::function<bool(const CharKind&)>& holds) const {
  uint64_t all = 0;
  uint64_t others = 0;
  for (const CharKind& kind : char_kinds()) {
    (holds(kind) ? all : others) |= kind.bit;
  }
  return all & ~others;
}

uint64_t LocalMachine::find_loops(State state) {
  const uint64_t kinds = kinds_that([&](const CharKind& kind) { return leads(state, kind.bytes, state); });
  loops_[state] = kinds | kLoopsKnown;
  return loops_[state];
}

// The state in which so many parts of the repetition have ended and another may begin.
GrammarState LocalMachine::begin_part(uint32_t repeat, uint32_t count) const {
  return automaton_.pop(count == 0 ? push_frame(repeat, GrammarFrame::kReturn, nullptr)
                                   : push_frame(repeat, count - 1, nullptr));
}

// Tried between two counts that are near a bound, so that states tell them apart: in between counts look alike.
uint64_t LocalMachine::find_counted(uint32_t repeat) {
  const Automaton::Repeat& bounds = automaton_.graph().repeats[automaton_.graph().nodes[repeat].what];
  const bool within = bounds.most != kUnbounded && bounds.most >= bounds.least + 2;
  if (!within && bounds.least < 2) {
    return 0;
  }
  const uint32_t count = (within ? bounds.most : bounds.least) - 2;
  GrammarState from = begin_part(repeat, count);
  const auto is_flat = [](const GrammarState::Thread& thread) {
    return thread.stack == nullptr || thread.stack->depth == 1;
  };
  const GrammarState behind = begin_part(repeat, bounds.most == kUnbounded ? bounds.least : bounds.most);
  if (!std::all_of(from.threads.begin(), from.threads.end(), is_flat) || behind.may_end) {
    return 0;
  }
  const State begin = add(std::move(from));
  const State end = add(begin_part(repeat, count + 1));
  const auto may_follow = [&](const CharKind& kind) {
    return std::any_of(behind.threads.begin(), behind.threads.end(), [&](const GrammarState::Thread& thread) {
      if (thread.stack != nullptr && thread.stack->node == repeat) return false;
      for (unsigned byte = kind.bytes.front().first; byte <= kind.bytes.front().last; ++byte) {
        if (automaton_.takes(thread, static_cast<uint8_t>(byte))) return true;
      }
      return false;
    });
  };
  return kinds_that([&](const CharKind& kind) { return leads(begin, kind.bytes, end) && !may_follow(kind); });
}

LocalMachine::Counted LocalMachine::counted(State state) {
  const auto& threads = states_[state].threads;
  const auto inside =
      std::ranges::find_if(threads, [](const GrammarState::Thread& thread) { return thread.stack != nullptr; });
  if (inside == threads.end() || inside->stack->depth != 1 || inside->stack->count >= GrammarFrame::kFarWithin) {
    return {};
  }
  const uint32_t repeat = inside->stack->node;
  if (automaton_.graph().nodes[repeat].kind == Automaton::Node::Kind::kMachine) {
    return counted_steps(state);
  }
  const uint32_t count = inside->stack->count;
  auto known = counted_.find(repeat);
  if (known == counted_.end()) {
    known = counted_.emplace(repeat, find_counted(repeat)).first;
  }
  if (known->second == 0 || add(begin_part(repeat, count)) != state) {
    return {};
  }
  const uint32_t most = automaton_.graph().repeats[automaton_.graph().nodes[repeat].what].most;
  return {known->second, most == kUnbounded ? kUnbounded : most - count};
}

// Where far from all bounds the machine comes back, it goes on here from count to count until a bound is there.
LocalMachine::Counted LocalMachine::counted_steps(State state) {
  const uint64_t kinds = loops(far(state));
  for (uint32_t room = 0; kinds != 0; ++room) {
    if (room == longest_) {
      return {kinds, kUnbounded};
    }
    if (ends(state)) {
      return {};
    }
    const State behind = step(state, kinds);
    if (behind == kDead && room > 0) {
      return {kinds, room};
    }
    if (behind == kDead || behind == kUnknown) {
      return {};
    }
    state = behind;
  }
  return {};
}

LocalMachine::State LocalMachine::step(State from, uint64_t kinds) {
  const auto known = steps_.find({from, kinds});
  return known != steps_.end() ? known->second : steps_[{from, kinds}] = find_step(from, kinds);
}

// The state that each character of the kinds leads to; kUnknown where there are several.
LocalMachine::State LocalMachine::find_step(State from, uint64_t kinds) {
  State to = kUnknown;
  for (const CharKind& kind : char_kinds()) {
    if ((kind.bit & kinds) == 0) {
      continue;
    }
    State end = from;
    for (const ByteRange& range : kind.bytes) {
      end = end == kDead ? kDead : next(end, range.first);
    }
    if (to != kUnknown && end != to) {
      return kUnknown;
    }
    to = end;
    bool same = end != kDead && leads(from, kind.bytes, end);
    if (end == kDead) {
      const ByteRange& first = kind.bytes.front();
      same = true;
      for (unsigned byte = first.first; byte <= first.last; ++byte) {
        same = same && next(from, static_cast<uint8_t>(byte)) == kDead;
      }
    }
    if (!same) {
      return kUnknown;
    }
  }
  return to;
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
  reaches_.push_back(find_reach(state));
  fars_.push_back(kUnknown);
  loops_.push_back(0);
  starts_.push_back(0);
  states_.push_back(std::move(state));
  table_.resize(states_.size() * classes_, states_.size() == 1 ? kDead : kUnknown);
  return known->second;
}

LocalMachine::State LocalMachine::find_next(State state, uint8_t byte) {
  const auto takes = [&](const GrammarState::Thread& thread) { return automaton_.takes(thread, byte); };
  const bool alive = std::ranges::any_of(states_[state].threads, takes);
  const State next = alive ? add(automaton_.advance(states_[state], byte, &visits_)) : kDead;
  table_[std::size_t{state} * classes_ + class_of_[byte]] = next;
  return next;
}

}  // namespace longship
