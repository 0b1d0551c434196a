#pragma once

#include <cstdint>
#include <vector>

namespace longship {

/// The leader's list of free pages of the key/value cache. A page may be given to another sequence as soon as the plan
/// that frees it is published, since every rank executes plans in order. Not synchronised.
class PagePool {
 public:
  explicit PagePool(int64_t pages);

  int64_t pages() const { return pages_; }
  int64_t free_pages() const { return static_cast<int64_t>(free_.size()); }
  /// Takes a page; there must be a free one.
  int32_t take();
  /// Gives pages back and clears the list.
  void give_back(std::vector<int32_t>& pages);

 private:
  int64_t pages_;
  std::vector<int32_t> free_;
};

}  // namespace longship
