#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace longship {

/// Byte-pair encoding (Sennrich et al., arXiv 1508.07909): a vocabulary and an ordered list of merges. Immutable once
/// filled; any thread may encode.
class Bpe {
 public:
  struct Merge {
    int32_t rank = 0;
    int32_t result = 0;
  };

  /// tokens[id]: text of each token in the byte alphabet; an empty text is an id that nothing stands for.
  explicit Bpe(std::vector<std::string> tokens);

  int32_t size() const { return static_cast<int32_t>(tokens_.size()); }
  const std::string& token(int32_t id) const { return tokens_[static_cast<std::size_t>(id)]; }
  std::optional<int32_t> find(std::string_view token) const;
  /// A token that appeared twice in the list, if any.
  const std::optional<std::string>& duplicate() const { return duplicate_; }

  /// Adds the next merge of the list. False if a part or the result is not a token.
  bool add_merge(std::string_view left, std::string_view right);
  /// A piece that is a token as a whole is not merged at all.
  void set_ignore_merges(bool ignore) { ignore_merges_ = ignore; }

  /// Appends the ids of one piece of text in the byte alphabet. Characters outside the vocabulary vanish.
  /// O(n log n) in the length of the piece.
  void encode(std::string_view piece, std::vector<int32_t>& ids) const;

 private:
  static uint64_t key(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }

  std::vector<std::string> tokens_;
  std::unordered_map<std::string_view, int32_t> ids_;
  std::unordered_map<uint64_t, Merge> merges_;
  std::optional<std::string> duplicate_;
  bool ignore_merges_ = false;
};

}  // namespace longship
