#include "engine/kv/page_pool.h"

#include "core/error.h"

namespace longship {

PagePool::PagePool(int64_t pages) : pages_(pages) {
  for (int64_t page = pages; page > 0; --page) {
    free_.push_back(static_cast<int32_t>(page - 1));
  }
}

int32_t PagePool::take() {
  LONGSHIP_CHECK(!free_.empty(), "a page was taken from an empty pool");
  const int32_t page = free_.back();
  free_.pop_back();
  return page;
}

void PagePool::give_back(std::vector<int32_t>& pages) {
  free_.insert(free_.end(), pages.rbegin(), pages.rend());
  pages.clear();
  LONGSHIP_CHECK(free_pages() <= pages_, "a page was given back twice");
}

}  // namespace longship
