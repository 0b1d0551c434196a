#include "engine/text/bpe.h"

#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>
#include <functional>
#include <queue>
#include <utility>

#include "engine/text/unicode.h"

namespace longship {

namespace {

// Ids by the text that they stand for.
struct TextHash {
  using is_transparent = void;
  const TokenTexts* texts;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  std::size_t operator()(int32_t id) const { return (*this)((*texts)[id]); }
};
struct TextEqual {
  using is_transparent = void;
  const TokenTexts* texts;
  bool operator()(int32_t a, int32_t b) const { return (*texts)[a] == (*texts)[b]; }
  bool operator()(std::string_view text, int32_t id) const { return text == (*texts)[id]; }
  bool operator()(int32_t id, std::string_view text) const { return text == (*texts)[id]; }
};

}  // namespace

struct Bpe::Tables {
  struct Merge {
    int32_t rank;
    int32_t result;
  };
  static uint64_t key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32U | static_cast<uint32_t>(right);
  }

  explicit Tables(const TokenTexts& texts)
      : ids(static_cast<std::size_t>(texts.size()), TextHash{&texts}, TextEqual{&texts}) {}

  boost::unordered_flat_set<int32_t, TextHash, TextEqual> ids;
  boost::unordered_flat_map<uint64_t, Merge> merges;
};

Bpe::Bpe(TokenTexts tokens) : tokens_(std::move(tokens)), tables_(std::make_unique<Tables>(tokens_)) {
  for (int32_t id = 0; id < size(); ++id) {
    if (!token(id).empty() && !tables_->ids.insert(id).second) {
      duplicate_ = token(id);
    }
  }
}

Bpe::~Bpe() = default;

void Bpe::reserve_merges(std::size_t count) {
  tables_->merges.reserve(count);
}

std::optional<int32_t> Bpe::find(std::string_view token) const {
  const auto found = tables_->ids.find(token);
  return found == tables_->ids.end() ? std::nullopt : std::optional(*found);
}

// The results of most lists of merges have ids one behind the other.
std::optional<int32_t> Bpe::result_of(std::string_view left, std::string_view right) {
  const int32_t next = last_result_ + 1;
  const std::string_view guess = next < size() ? token(next) : std::string_view();
  if (guess.size() == left.size() + right.size() && guess.starts_with(left) && guess.ends_with(right)) {
    return next;
  }
  whole_.assign(left).append(right);
  return find(whole_);
}

bool Bpe::add_merge(std::string_view left, std::string_view right) {
  const auto a = find(left);
  const auto b = find(right);
  const auto result = result_of(left, right);
  if (!a || !b || !result || left.empty() || right.empty()) {
    return false;
  }
  last_result_ = *result;
  tables_->merges.emplace(Tables::key(*a, *b), Tables::Merge{static_cast<int32_t>(tables_->merges.size()), *result});
  return true;
}

namespace {

// A symbol of the piece; merged-away symbols have id -1. Neighbours by index.
struct Symbol {
  int32_t id;
  int32_t previous;
  int32_t next;
};

struct Candidate {
  int32_t rank;
  int32_t left;     // index of the left symbol
  int32_t left_id;  // ids when the candidate was found: it is stale if they changed
  int32_t right_id;
  int32_t result;

  // The least rank first, then the leftmost.
  bool operator<(const Candidate& other) const { return rank != other.rank ? rank > other.rank : left > other.left; }
};

}  // namespace

void Bpe::encode(std::string_view piece, std::vector<int32_t>& ids) const {
  if (ignore_merges_) {
    if (const auto whole = find(piece)) {
      ids.push_back(*whole);
      return;
    }
  }
  std::vector<Symbol> symbols;
  for (std::size_t at = 0; at < piece.size();) {
    const std::size_t length = code_point_at(piece, at).length;
    if (const auto id = find(piece.substr(at, length))) {
      const auto index = static_cast<int32_t>(symbols.size());
      symbols.push_back({*id, index - 1, index + 1});
    }
    at += length;
  }
  if (symbols.empty()) {
    return;
  }
  symbols.back().next = -1;
  const auto& merges = tables_->merges;
  std::priority_queue<Candidate> queue;
  const auto consider = [&](int32_t left) {
    if (left < 0 || symbols[static_cast<std::size_t>(left)].next < 0) {
      return;
    }
    const Symbol& a = symbols[static_cast<std::size_t>(left)];
    const Symbol& b = symbols[static_cast<std::size_t>(a.next)];
    if (const auto merge = merges.find(Tables::key(a.id, b.id)); merge != merges.end()) {
      queue.push({merge->second.rank, left, a.id, b.id, merge->second.result});
    }
  };
  for (int32_t i = 0; i < static_cast<int32_t>(symbols.size()); ++i) {
    consider(i);
  }
  while (!queue.empty()) {
    const Candidate best = queue.top();
    queue.pop();
    Symbol& left = symbols[static_cast<std::size_t>(best.left)];
    if (left.id != best.left_id || left.next < 0 || symbols[static_cast<std::size_t>(left.next)].id != best.right_id) {
      continue;
    }
    Symbol& right = symbols[static_cast<std::size_t>(left.next)];
    left.id = best.result;
    left.next = right.next;
    right.id = -1;
    if (left.next >= 0) {
      symbols[static_cast<std::size_t>(left.next)].previous = best.left;
    }
    consider(left.previous);
    consider(best.left);
  }
  for (int32_t i = 0; i >= 0; i = symbols[static_cast<std::size_t>(i)].next) {
    ids.push_back(symbols[static_cast<std::size_t>(i)].id);
  }
}

}  // namespace longship
