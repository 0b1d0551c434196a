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

/// Numbers of no more digits than this, in all, are still the same when they were read as doubles.
inline constexpr uint32_t kDigitsOfDoubles = 15;

/// What multipleOf says, as the decimal number that it is written as. Nothing for 0 and less, for 2^53 and more, and
/// for more than kDigitsOfDoubles decimals.
std::optional<Multiple> multiple_of(double value);

/// Whether the number, as the shortest decimal that is read as it, is a multiple.
bool is_multiple(double value, const Multiple& multiple);
bool is_multiple(int64_t value, const Multiple& multiple);

/// The numbers of `all`, a grammar of digits, minus and point, that are multiples, and of so many characters. None has
/// more decimals than the unit. Errors: kUsage for a multiple of more than some thousand units.
ExprId add_multiples(Grammar& grammar, Products& products, const Grammar& all, const Multiple& multiple,
                     PartCount length = {});

/// The whole numbers from the first bound to the second, both included, that are multiples. Errors: kUsage.
ExprId integer_multiples(Grammar& grammar, Products& products, std::pair<int64_t, int64_t> bounds,
                         const Multiple& multiple);

}  // namespace longship
