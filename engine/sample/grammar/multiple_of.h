#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "engine/sample/grammar/acceptor.h"

namespace longship {

/// Integers are written up to here, and from its negative on.
inline constexpr int64_t kMostInteger = 999'999'999'999'999'999;

/// A number without a sign as a whole number of units, each 10 to the power of -`decimals`.
struct Multiple {
  uint64_t units = 1;
  uint32_t decimals = 0;
};

/// What multipleOf says, if all programs that read numbers as doubles agree on its multiples: whole numbers, and
/// fractions that doubles hold exactly (0.5, 0.25, 2.75).
std::optional<Multiple> multiple_of(double value);

/// The numbers of `all`, a grammar of digits, minus and point, that are multiples, and of so many characters. None has
/// more decimals than the unit. Errors: kUsage for a multiple of more than some thousand units.
ExprId add_multiples(Grammar& grammar, Products& products, const Grammar& all, const Multiple& multiple,
                     PartCount length = {});

/// The whole numbers from the first bound to the second, both included, that are multiples. Errors: kUsage.
ExprId integer_multiples(Grammar& grammar, Products& products, std::pair<int64_t, int64_t> bounds,
                         const Multiple& multiple);

}  // namespace longship
