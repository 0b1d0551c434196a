#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace longship {

/// The bytes of a vocabulary's tokens as a tree, which is walked in the order of its nodes: a node, then what is below
/// it. Immutable; any thread may use it.
class TokenTrie {
 public:
  struct Node {
    uint32_t end = 0;    ///< The first node that is not below this one.
    int32_t token = -1;  ///< A token that ends here.
    uint16_t depth = 0;  ///< Bytes up to here.
    uint8_t byte = 0;    ///< The last of these.
  };

  /// `bytes` of each token by its id; those of special tokens as special_bytes(); empty: one that no
  /// grammar allows. Tokens of more than 65,535
  /// bytes count as such.
  explicit TokenTrie(std::vector<std::string> bytes);

  const std::vector<Node>& nodes() const { return nodes_; }  ///< The root first.
  /// Another token with the same bytes, below 0: none.
  int32_t next_same(int32_t token) const { return next_same_[static_cast<std::size_t>(token)]; }
  const std::string& bytes_of(int32_t token) const { return bytes_[static_cast<std::size_t>(token)]; }
  int64_t vocab() const { return static_cast<int64_t>(bytes_.size()); }
  uint32_t longest() const { return longest_; }  ///< Token, in bytes.

 private:
  std::vector<std::string> bytes_;
  std::vector<Node> nodes_;
  std::vector<int32_t> next_same_;
  uint32_t longest_ = 0;
};

}  // namespace longship
