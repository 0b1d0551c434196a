#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "engine/sample/grammar/token_set.h"

namespace longship {

/// The bytes of a vocabulary's tokens as a tree, which is walked in the order of its nodes: a node, then what is below
/// it. Does not change; any thread may use it.
class TokenTrie {
 public:
  struct Node {
    uint32_t end = 0;          ///< The first node that is not below this one.
    uint32_t first_token = 0;  ///< Tokens that end before this node, in the order of the nodes.
    uint16_t depth = 0;        ///< Bytes up to here.
    uint16_t height = 0;       ///< Most bytes from here to the end of a token.
    uint16_t chars = 0;        ///< Characters that begin up to here.
    uint8_t byte = 0;          ///< The last byte up to here.
    bool whole = true;         ///< The last character ends here, as far as that is known.
  };

  /// `bytes` of each token by its id; those of special tokens as special_bytes(); empty: one that no
  /// grammar allows. Tokens of more than 65,535 bytes count as such.
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

  /// A node of a part of the tree.
  struct Place {
    uint32_t node = 0;
    uint32_t end = 0;  ///< The first place of the part that is not below this one.
  };
  /// The tree parted by kinds of characters.
  struct Parts {
    TokenSet tokens;            ///< Characters of the kinds, of which the last may not be whole.
    std::vector<Place> others;  ///< Where the other tokens are.
  };
  std::shared_ptr<const Parts> parts(uint64_t kinds) const;
  /// Those of such tokens, `tokens`, that have at most so many characters.
  TokenSet of_chars(const TokenSet& tokens, uint32_t most) const;

 private:
  struct LongToken {
    int32_t token = 0;
    uint32_t chars = 0;
  };

  bool only_kinds(uint32_t node, uint64_t kinds) const;
  void add_nodes();
  void find_heights();
  void find_kinds();
  void find_kinds_to();
  void find_short();
  Parts find_parts(uint64_t kinds) const;

  std::vector<std::string> bytes_;
  std::vector<Node> nodes_;
  std::vector<int32_t> ordered_;
  std::vector<uint64_t> kinds_;
  std::vector<uint64_t> kinds_to_;  ///< Of the characters up to a node, of which the last may not be whole.
  std::array<TokenSet, kMostShort + 1> shorter_;
  std::array<TokenSet, kMostShort + 1> of_few_chars_;  ///< By the most characters.
  std::vector<LongToken> of_many_chars_;               ///< The others.
  uint32_t longest_ = 0;
  mutable std::mutex mutex_;
  mutable std::map<uint64_t, std::shared_ptr<const Parts>> parts_;  ///< Those asked for; a few.
};

}  // namespace longship
