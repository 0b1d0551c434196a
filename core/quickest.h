#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

namespace longship {

/// What collective operations took beyond waiting for ranks that came late: a rank that comes last finds the others'
/// data there, so of operations alike the shortest is the time that moving the data takes, and the rest is waiting.
/// Alike are operations of one name and size within one period.
class QuickestCollectives {
 public:
  void add(const char* name, int64_t bytes, int64_t ns) {
    for (std::size_t i = 0; i < used_; ++i) {
      Alike& alike = alike_[i];
      if (alike.name == name && alike.bytes == bytes) {
        ++alike.count;
        alike.shortest_ns = std::min(alike.shortest_ns, ns);
        return;
      }
    }
    if (used_ < alike_.size()) {
      alike_[used_++] = {name, bytes, 1, ns};
    } else {
      past_ns_ += ns;  // so many sizes are not those of many steps
    }
  }

  /// Of all operations so far; begins another period.
  int64_t take() {
    for (std::size_t i = 0; i < used_; ++i) {
      past_ns_ += alike_[i].count * alike_[i].shortest_ns;
    }
    used_ = 0;
    return past_ns_;
  }

 private:
  struct Alike {
    const char* name;  ///< Static storage.
    int64_t bytes;
    int64_t count;
    int64_t shortest_ns;
  };

  std::array<Alike, 16> alike_{};
  std::size_t used_ = 0;
  int64_t past_ns_ = 0;
};

}  // namespace longship
