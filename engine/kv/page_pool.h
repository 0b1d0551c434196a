#pragma once

#include <cstdint>
#include <list>
#include <vector>

namespace longship {

/// The leader's account of the pages of the key/value cache: how many users each has, and which to take next. A page
/// may be given to another sequence as soon as the plan that frees it is published, since every rank executes plans in
/// order. Not synchronised.
class PagePool {
 public:
  explicit PagePool(int64_t pages);

  int64_t pages() const { return static_cast<int64_t>(pages_.size()); }
  /// Pages without a user.
  int64_t free_pages() const { return static_cast<int64_t>(blank_.size() + kept_.size()); }
  int32_t users(int32_t page) const { return at(page).users; }
  /// Takes a free page for one user: one that is not worth keeping, else the one that is free for longest. There must
  /// be one.
  int32_t take();
  /// Takes this page, which is free and kept, for one user who writes on in it.
  void take(int32_t page);
  /// Free pages, in a new pool, that hold what is worth keeping; of them the first is taken first.
  void restore(const std::vector<int32_t>& pages);
  /// Adds a user, also to a free page.
  void share(int32_t page);
  /// What a page in use holds is worth keeping for as long as other pages are free.
  void keep(int32_t page) { at(page).kept = true; }
  /// Takes one user from each page, and clears the list. Of those that become free, the last is taken first.
  void give_back(std::vector<int32_t>& pages);

 private:
  struct Page {
    int32_t users = 0;
    bool kept = false;
    std::list<int32_t>::iterator place{};  ///< In kept_, while it is free and kept.
  };

  Page& at(int32_t page) { return pages_[static_cast<std::size_t>(page)]; }
  const Page& at(int32_t page) const { return pages_[static_cast<std::size_t>(page)]; }

  std::vector<Page> pages_;
  std::vector<int32_t> blank_;  ///< Free, nothing worth keeping.
  std::list<int32_t> kept_;     ///< Free for longest first.
};

}  // namespace longship
