#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace longship {

/// Speculative decoding by prompt look-up: what a text says next is guessed from where its last tokens stood before.
struct PromptLookup {
  int64_t draft_tokens = 0;  ///< Guessed at a time; 0: off.
  int64_t most_match = 5;    ///< Last tokens that are looked for ...
  int64_t least_match = 5;   ///< ... and that must have stood there before, at least.
};

/// The tokens behind the place where most of the last tokens stood before, the latest of such places; at most `most`.
/// Empty if there is no place.
std::vector<int32_t> look_up(std::span<const int32_t> tokens, const PromptLookup& options, int64_t most);

/// How many tokens are worth guessing for one sequence: fewer after wrong guesses, none for a while after several.
class DraftLength {
 public:
  explicit DraftLength(int64_t most) : most_(most), length_(most) {}

  int64_t tokens() const { return pause_ > 0 ? 0 : length_; }
  /// So many tokens were guessed, of which the first `accepted` were right.
  void verified(int64_t guessed, int64_t accepted);
  /// A token was generated without guesses.
  void passed();

 private:
  static constexpr int64_t kFirstPause = 8;  // tokens
  static constexpr int64_t kLongestPause = 256;

  int64_t most_;
  int64_t length_;
  int64_t pause_ = 0;  ///< Tokens to generate before the next guess.
  int64_t next_pause_ = kFirstPause;
};

}  // namespace longship
