#pragma once

#include <cstdint>

namespace longship {

/// Half-open range of values, units, keys or layers.
struct Range {
  int64_t begin = 0;
  int64_t end = 0;

  /// The smallest range from a multiple of `unit` to another that holds this one.
  Range widened(int64_t unit) const {
    return size() <= 0 ? Range{begin, begin} : Range{begin / unit * unit, (end + unit - 1) / unit * unit};
  }
  int64_t size() const { return end - begin; }
  friend bool operator==(const Range&, const Range&) = default;
};

}  // namespace longship
