#include "engine/sample/grammar/token_trie.h"

#include <algorithm>
#include <string_view>

namespace longship {

namespace {

constexpr std::size_t kMostBytes = UINT16_MAX;

}  // namespace

TokenTrie::TokenTrie(std::vector<std::string> bytes) : bytes_(std::move(bytes)), next_same_(bytes_.size(), -1) {
  std::vector<int32_t> order;
  for (std::size_t id = 0; id < bytes_.size(); ++id) {
    if (!bytes_[id].empty() && bytes_[id].size() <= kMostBytes) {
      order.push_back(static_cast<int32_t>(id));
    }
  }
  std::sort(order.begin(), order.end(), [&](int32_t a, int32_t b) {
    const int compared = bytes_of(a).compare(bytes_of(b));
    return compared != 0 ? compared < 0 : a < b;
  });
  nodes_.emplace_back();
  std::vector<std::size_t> path{0};  // nodes of the token before, the root first
  int32_t before = -1;
  const auto close_below = [&](std::size_t depth) {
    while (path.size() > depth + 1) {
      nodes_[path.back()].end = static_cast<uint32_t>(nodes_.size());
      path.pop_back();
    }
  };
  for (const int32_t token : order) {
    const std::string& text = bytes_of(token);
    longest_ = std::max(longest_, static_cast<uint32_t>(text.size()));
    if (before >= 0 && bytes_of(before) == text) {
      next_same_[static_cast<std::size_t>(before)] = token;
    } else {
      const std::string_view last = before < 0 ? std::string_view() : std::string_view(bytes_of(before));
      const auto differs = std::mismatch(text.begin(), text.end(), last.begin(), last.end()).first;
      close_below(static_cast<std::size_t>(differs - text.begin()));
      for (std::size_t depth = path.size(); depth <= text.size(); ++depth) {
        path.push_back(nodes_.size());
        nodes_.push_back({.depth = static_cast<uint16_t>(depth), .byte = static_cast<uint8_t>(text[depth - 1])});
      }
      nodes_.back().token = token;
    }
    before = token;
  }
  close_below(0);
  nodes_.front().end = static_cast<uint32_t>(nodes_.size());
}

}  // namespace longship
