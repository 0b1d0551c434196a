#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace longship {

/// What becomes of the matches of a split.
enum class SplitBehavior : uint8_t { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

/// Finds the parts of a text at which it is split. Immutable, used by any thread.
class Matcher {
 public:
  struct Match {
    std::size_t begin;
    std::size_t end;
  };

  virtual ~Matcher() = default;
  /// The first match of at least one byte at or after `from`.
  virtual std::optional<Match> next(std::string_view text, std::size_t from) const = 0;
};

/// A regular expression (Oniguruma's dialect as far as PCRE2 shares it): a hand-written scanner where the pattern is
/// known, else PCRE2 with limits. Errors: std::invalid_argument with the reason; a match beyond the limits throws
/// Error kUsage.
std::unique_ptr<Matcher> make_regex_matcher(const std::string& pattern);
std::unique_ptr<Matcher> make_pcre_matcher(const std::string& pattern);
std::unique_ptr<Matcher> make_literal_matcher(std::string text);
/// Characters of a class, each a match.
std::unique_ptr<Matcher> make_class_matcher(bool (*in_class)(int32_t code_point));

/// Cuts text into the pieces that are merged separately: a chain of splits, each of the pieces of the one before.
class PreTokenizer {
 public:
  void add_split(std::unique_ptr<Matcher> matcher, SplitBehavior behavior, bool invert = false);
  /// Puts a space before every piece that does not begin with one.
  void add_prefix_space() { steps_.push_back({Kind::kPrefixSpace, nullptr, SplitBehavior::kIsolated, false}); }
  /// Rewrites every piece in the byte alphabet (engine/text/byte_level.h); later splits see that.
  void add_byte_alphabet() { steps_.push_back({Kind::kByteAlphabet, nullptr, SplitBehavior::kIsolated, false}); }

  /// Pieces of well-formed UTF-8 text, in order.
  std::vector<std::string> split(std::string text) const;

 private:
  enum class Kind : uint8_t { kSplit, kPrefixSpace, kByteAlphabet };
  struct Step {
    Kind kind;
    std::unique_ptr<Matcher> matcher;
    SplitBehavior behavior;
    bool invert;
  };
  std::vector<Step> steps_;
};

}  // namespace longship
