#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/text/token_texts.h"

namespace longship {

/// Byte-pair encoding (Sennrich et al., arXiv 1508.07909): a vocabulary and an ordered list of merges. Immutable once
/// filled; any thread may encode.
class Bpe {
 public:
  /// tokens[id]: text of each token in the byte alphabet; an empty text is an id that nothing stands for.
  explicit Bpe(TokenTexts tokens);
  ~Bpe();

  int32_t size() const { return tokens_.size(); }
  std::string_view token(int32_t id) const { return tokens_[id]; }
  std::optional<int32_t> find(std::string_view token) const;
  /// A token that appeared twice in the list, if any.
  const std::optional<std::string>& duplicate() const { return duplicate_; }

  /// Adds the next merge of the list. False if a part or the result is not a token.
  bool add_merge(std::string_view left, std::string_view right);
  /// Makes room for that many merges.
  void reserve_merges(std::size_t count);
  /// A piece that is a token as a whole is not merged at all.
  void set_ignore_merges(bool ignore) { ignore_merges_ = ignore; }

  /// Appends the ids of one piece of text in the byte alphabet. Characters outside the vocabulary vanish.
  /// O(n log n) in the length of the piece.
  void encode(std::string_view piece, std::vector<int32_t>& ids) const;

 private:
  struct Tables;

  std::optional<int32_t> result_of(std::string_view left, std::string_view right);

  TokenTexts tokens_;
  std::unique_ptr<Tables> tables_;
  std::optional<std::string> duplicate_;
  std::string whole_;         // of add_merge
  int32_t last_result_ = -1;  // of add_merge
  bool ignore_merges_ = false;
};

}  // namespace longship
