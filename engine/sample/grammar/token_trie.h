#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/sample/grammar/token_set.h"

namespace longship {

/// The bytes of a vocabulary's tokens as a tree, which is walked in the order of its nodes: a node, then what is below
/// it. Immutable; any thread may use it.
class TokenTrie {
 public:
  struct Node {
    uint32_t end = 0;          ///< The first node that is not below this one.
    uint32_t first_token = 0;  ///< Tokens that end before this node, in the order of the nodes.
    uint16_t depth = 0;        ///< Bytes up to here.
    uint16_t height = 0;       ///< Most bytes from here to the end of a token.
    uint8_t byte = 0;          ///< The last byte up to here.
  };

  /// `bytes` of each token by its id; those of special tokens as special_bytes(); empty: one that no
  /// grammar allows. Tokens of more than 65,535
  /// bytes count as such.
  explicit TokenTrie(std::vector<std::string> bytes);

  const std::vector<Node>& nodes() const { return nodes_; }  ///< The root first.
  /// Tokens that end at the nodes [first, end), in their order.
  std::span<const int32_t> tokens(uint32_t first, uint32_t end) const {
    const uint32_t last = end < nodes_.size() ? nodes_[end].first_token : static_cast<uint32_t>(ordered_.size());
    return std::span(ordered_).subspan(nodes_[first].first_token, last - nodes_[first].first_token);
  }
  /// Bits of CharKinds of all that stands below a node, where a character begins behind it.
  uint64_t kinds_below(uint32_t node) const { return kinds_[node]; }
  const std::string& bytes_of(int32_t token) const { return bytes_[static_cast<std::size_t>(token)]; }
  int64_t vocab() const { return static_cast<int64_t>(bytes_.size()); }
  uint32_t longest() const { return longest_; }  ///< Token, in bytes.

  /// Tokens of fewer than `bytes` bytes, up to kMostShort.
  static constexpr uint32_t kMostShort = 32;
  const TokenSet& shorter_than(uint32_t bytes) const { return shorter_[bytes]; }

 private:
  void add_nodes();
  void find_heights();
  void find_kinds();
  void find_short();

  std::vector<std::string> bytes_;
  std::vector<Node> nodes_;
  std::vector<int32_t> ordered_;
  std::vector<uint64_t> kinds_;
  std::array<TokenSet, kMostShort + 1> shorter_;
  uint32_t longest_ = 0;
};

}  // namespace longship
