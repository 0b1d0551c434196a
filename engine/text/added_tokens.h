#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace longship {

/// A token that is found in text as it stands, before any merging.
struct AddedToken {
  int32_t id = 0;
  std::string content;
  bool special = false;      ///< Found only where special tokens are to be parsed.
  bool single_word = false;  ///< Only where no word character touches it.
  bool lstrip = false;       ///< Takes the white space before it along.
  bool rstrip = false;       ///< Takes the white space after it along.
  bool normalized = false;   ///< Looked for in normalised text.
};

/// Finds added tokens: the leftmost, of these the longest.
class AddedTokens {
 public:
  /// A stretch of text: an added token's id, or -1 for text between them.
  struct Part {
    int32_t id;
    std::string_view text;
  };

  void add(AddedToken token);
  const std::vector<AddedToken>& tokens() const { return tokens_; }
  /// Cuts `text` at the tokens that are looked for in normalised text, or not.
  std::vector<Part> split(std::string_view text, bool normalized, bool parse_special) const;

 private:
  const AddedToken* match_at(std::string_view text, std::size_t at, bool normalized, bool parse_special) const;

  std::vector<AddedToken> tokens_;
  std::unordered_map<char, std::vector<std::size_t>> by_first_byte_;  ///< Longest first.
};

}  // namespace longship
