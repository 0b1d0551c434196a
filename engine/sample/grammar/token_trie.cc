#include "engine/sample/grammar/token_trie.h"

#include <algorithm>
#include <string_view>

#include "engine/sample/grammar/char_kinds.h"

namespace longship {

namespace {

constexpr std::size_t kMostBytes = UINT16_MAX;

// The kinds of what stands below a node of which `rest` says how the character that began before it goes on.
uint64_t kinds_within(const std::vector<TokenTrie::Node>& nodes, const std::vector<uint64_t>& kinds, uint32_t node,
                      std::span<const ByteRange> rest) {
  if (rest.empty()) {
    return kinds[node];
  }
  uint64_t found = 0;
  for (uint32_t child = node + 1; child < nodes[node].end; child = nodes[child].end) {
    found |= rest.front().has(nodes[child].byte) ? kinds_within(nodes, kinds, child, rest.subspan(1)) : kBrokenText;
  }
  return found;
}

}  // namespace

TokenTrie::TokenTrie(std::vector<std::string> bytes) : bytes_(std::move(bytes)) {
  for (std::size_t id = 0; id < bytes_.size(); ++id) {
    if (!bytes_[id].empty() && bytes_[id].size() <= kMostBytes) {
      ordered_.push_back(static_cast<int32_t>(id));
      longest_ = std::max(longest_, static_cast<uint32_t>(bytes_[id].size()));
    }
  }
  std::sort(ordered_.begin(), ordered_.end(), [&](int32_t a, int32_t b) {
    const int compared = bytes_of(a).compare(bytes_of(b));
    return compared != 0 ? compared < 0 : a < b;
  });
  add_nodes();
  find_heights();
  find_kinds();
  find_kinds_to();
  find_short();
}

void TokenTrie::add_nodes() {
  nodes_.emplace_back();
  std::vector<std::size_t> path{0};  // nodes of the token before, the root first
  std::string_view last;
  const auto close_below = [&](std::size_t depth) {
    while (path.size() > depth + 1) {
      nodes_[path.back()].end = static_cast<uint32_t>(nodes_.size());
      path.pop_back();
    }
  };
  for (std::size_t place = 0; place < ordered_.size(); ++place) {
    const std::string& text = bytes_of(ordered_[place]);
    if (text == last) {
      continue;
    }
    const auto differs = std::mismatch(text.begin(), text.end(), last.begin(), last.end()).first;
    close_below(static_cast<std::size_t>(differs - text.begin()));
    for (std::size_t depth = path.size(); depth <= text.size(); ++depth) {
      path.push_back(nodes_.size());
      nodes_.push_back({.first_token = static_cast<uint32_t>(place),
                        .depth = static_cast<uint16_t>(depth),
                        .byte = static_cast<uint8_t>(text[depth - 1])});
    }
    last = text;
  }
  close_below(0);
  nodes_.front().end = static_cast<uint32_t>(nodes_.size());
}

// From the last node to the first: children before their parents.
void TokenTrie::find_heights() {
  for (auto node = static_cast<uint32_t>(nodes_.size()); node-- > 0;) {
    for (uint32_t child = node + 1; child < nodes_[node].end; child = nodes_[child].end) {
      nodes_[node].height = std::max<uint16_t>(nodes_[node].height, static_cast<uint16_t>(nodes_[child].height + 1));
    }
  }
}

void TokenTrie::find_kinds() {
  kinds_.resize(nodes_.size());
  for (auto node = static_cast<uint32_t>(nodes_.size()); node-- > 0;) {
    for (uint32_t child = node + 1; child < nodes_[node].end; child = nodes_[child].end) {
      const CharStart start = char_start(nodes_[child].byte);
      kinds_[node] |= start.kind | kinds_within(nodes_, kinds_, child, start.rest);
    }
  }
}

void TokenTrie::find_kinds_to() {
  kinds_to_.resize(nodes_.size());
  std::vector<std::span<const ByteRange>> rests(std::size_t{longest_} + 1);  // of the last character, by depth
  std::vector<uint32_t> path(rests.size());                                  // nodes by depth
  for (uint32_t i = 1; i < nodes_.size(); ++i) {
    Node& node = nodes_[i];
    const uint32_t parent = path[node.depth - 1U];
    std::span<const ByteRange> rest = rests[node.depth - 1U];
    kinds_to_[i] = kinds_to_[parent];
    node.chars = nodes_[parent].chars;
    if (rest.empty()) {
      const CharStart start = char_start(node.byte);
      kinds_to_[i] |= start.kind;
      ++node.chars;
      rest = start.rest;
    } else {
      kinds_to_[i] |= rest.front().has(node.byte) ? 0 : kBrokenText;
      rest = rest.subspan(1);
    }
    node.whole = rest.empty();
    path[node.depth] = i;
    rests[node.depth] = rest;
  }
}

std::shared_ptr<const TokenTrie::Parts> TokenTrie::parts(uint64_t kinds) const {
  constexpr std::size_t kMostKept = 8;
  const std::lock_guard lock(mutex_);
  const auto known = parts_.find(kinds);
  if (known != parts_.end()) {
    return known->second;
  }
  if (parts_.size() >= kMostKept) {
    parts_.clear();
  }
  return parts_[kinds] = std::make_shared<const Parts>(find_parts(kinds));
}

// Whether all tokens that end at the node or below are of these kinds. Not known, and false, within a character.
bool TokenTrie::only_kinds(uint32_t node, uint64_t kinds) const {
  return nodes_[node].whole && ((kinds_to_[node] | kinds_[node]) & ~kinds) == 0;
}

TokenTrie::Parts TokenTrie::find_parts(uint64_t kinds) const {
  Parts parts{TokenSet(vocab()), {}};
  std::vector<std::size_t> path(std::size_t{longest_} + 1, 0);  // places by depth
  const auto close_below = [&](std::size_t depth) {
    for (; depth < path.size() && path[depth] != 0; ++depth) {
      parts.others[path[depth] - 1].end = static_cast<uint32_t>(parts.others.size());
      path[depth] = 0;
    }
  };
  for (uint32_t node = 1; node < nodes_.size();) {
    const bool only = only_kinds(node, kinds);
    const uint32_t next = only ? nodes_[node].end : node + 1;
    if ((kinds_to_[node] & ~kinds) == 0) {
      for (const int32_t token : tokens(node, next)) parts.tokens.add(token);
    }
    if (!only) {
      close_below(nodes_[node].depth);
      parts.others.push_back({.node = node});
      path[nodes_[node].depth] = parts.others.size();
    }
    node = next;
  }
  close_below(1);
  return parts;
}

TokenSet TokenTrie::of_chars(const TokenSet& tokens, uint32_t most) const {
  TokenSet found = tokens;
  found &= of_few_chars_.at(std::min(most, kMostShort));
  for (const LongToken& token : of_many_chars_) {
    if (token.chars <= most && tokens.has(token.token)) found.add(token.token);
  }
  return found;
}

void TokenTrie::find_short() {
  shorter_.fill(TokenSet(vocab()));
  for (const int32_t token : ordered_) {
    for (std::size_t bytes = bytes_of(token).size() + 1; bytes <= kMostShort; ++bytes) {
      shorter_.at(bytes).add(token);
    }
  }
  of_few_chars_.fill(TokenSet(vocab()));
  for (uint32_t node = 1; node < nodes_.size(); ++node) {
    for (const int32_t token : tokens(node, node + 1)) {
      if (nodes_[node].chars > kMostShort) of_many_chars_.push_back({token, nodes_[node].chars});
      for (std::size_t chars = nodes_[node].chars; chars <= kMostShort; ++chars) of_few_chars_.at(chars).add(token);
    }
  }
}

}  // namespace longship
