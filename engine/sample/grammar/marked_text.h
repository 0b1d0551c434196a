#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/sample/grammar/grammar.h"

namespace longship {

/// Text of any bytes, without special tokens, in which something stands behind each mark. Where the mark is a special
/// token, special_bytes(), the text does not spell it either: readers of the text could not tell it from the token.
class MarkedText {
 public:
  /// Wherever the text has the mark, the rule `behind` goes on; it need not be defined yet. `may_end`: the text may end
  /// without a mark. Errors: kUsage for a mark that is empty or long.
  MarkedText(Grammar& grammar, const std::string& mark, RuleId behind, bool may_end);

  ExprId any() { return grammar_.call(states_[0]); }
  /// Its first byte is one of these, or it is empty if it may end.
  ExprId from(const ByteSet& first) { return goes_on(0, first); }
  /// The same behind a beginning of it, which has no mark.
  ExprId behind(std::string_view beginning, const ByteSet& first);

 private:
  std::size_t bytes_of_mark(std::size_t known, char c) const;
  ExprId goes_on(std::size_t known, const ByteSet& allowed);

  Grammar& grammar_;
  bool special_;
  std::string mark_;  ///< As text.
  RuleId behind_;
  bool may_end_;
  std::vector<RuleId> states_;  ///< By how much of the mark's text the text ends with.
};

}  // namespace longship
