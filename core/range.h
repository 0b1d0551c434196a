#pragma once

#include <cstdint>

namespace longship {

/// Half-open range of values, units, keys or layers.
struct Range {
  int64_t begin = 0;
  int64_t end = 0;

  int64_t size() const { return end - begin; }
  friend bool operator==(const Range&, const Range&) = default;
};

}  // namespace longship
