#pragma once

#include <cmath>
#include <vector>

namespace longship {

/// Pearson's statistic of counts against the expected ones, as standard deviations of a normal variable (Wilson and
/// Hilferty's cube root). Classes with fewer than 5 expected are put together.
inline double chi_square_sigmas(const std::vector<double>& counts, const std::vector<double>& expected) {
  double statistic = 0;
  double rare_count = 0;
  double rare_expected = 0;
  int classes = 0;
  const auto add = [&](double count, double mean) {
    statistic += (count - mean) * (count - mean) / mean;
    ++classes;
  };
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (expected[i] >= 5) {
      add(counts[i], expected[i]);
    } else {
      rare_count += counts[i];
      rare_expected += expected[i];
    }
  }
  if (rare_expected > 0) {
    add(rare_count, rare_expected);
  }
  const double freedom = std::max(1, classes - 1);
  return (std::cbrt(statistic / freedom) - (1 - 2 / (9 * freedom))) / std::sqrt(2 / (9 * freedom));
}

}  // namespace longship
