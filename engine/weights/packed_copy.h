#pragma once

#include <cstddef>

namespace longship {

/// Memory for a rank's packed weights that outlives the rank, so that the next one finds them packed.
class PackedCopy {
 public:
  virtual ~PackedCopy() = default;

  /// It holds the weights.
  virtual bool complete() const = 0;
  /// The weights, 64-byte aligned; only for reading once complete.
  virtual std::byte* data() const = 0;
  /// Called once it is filled: from now on it is complete, for this process and the next. Errors: kUsage.
  virtual void publish() = 0;
};

}  // namespace longship
