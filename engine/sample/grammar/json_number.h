#pragma once

#include <cstdint>
#include <optional>

#include "engine/sample/grammar/grammar.h"

namespace longship {

/// Whole numbers from `least` to `most`, both included, without leading zeros.
ExprId integer_between(Grammar& grammar, int64_t least, int64_t most);

struct NumberBound {
  double value = 0;
  bool exclusive = false;
};

/// Numbers within the bounds and between -10^15 and 10^15, written without an exponent, with at most 17 digits behind
/// those of the bounds. Errors: kUsage for bounds that all those numbers are outside of.
ExprId number_between(Grammar& grammar, const std::optional<NumberBound>& least,
                      const std::optional<NumberBound>& most);

}  // namespace longship
