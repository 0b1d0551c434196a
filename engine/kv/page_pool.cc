#include "engine/kv/page_pool.h"

#include "core/error.h"

namespace longship {

PagePool::PagePool(int64_t pages) : pages_(static_cast<std::size_t>(pages)) {
  for (int64_t page = pages; page > 0; --page) {
    blank_.push_back(static_cast<int32_t>(page - 1));
  }
}

int32_t PagePool::take() {
  LONGSHIP_CHECK(free_pages() > 0, "a page was taken from an empty pool");
  int32_t page = 0;
  if (!blank_.empty()) {
    page = blank_.back();
    blank_.pop_back();
  } else {
    page = kept_.front();
    kept_.pop_front();
  }
  at(page).users = 1;
  at(page).kept = false;
  return page;
}

void PagePool::take(int32_t page) {
  LONGSHIP_CHECK(at(page).users == 0 && at(page).kept, "a page that holds something is taken by its number");
  kept_.erase(at(page).place);
  at(page).users = 1;
  at(page).kept = false;
}

void PagePool::restore(const std::vector<int32_t>& pages) {
  for (const int32_t page : pages) {
    at(page).kept = true;
    at(page).place = kept_.insert(kept_.end(), page);
  }
  std::erase_if(blank_, [this](int32_t page) { return at(page).kept; });
}

void PagePool::share(int32_t page) {
  LONGSHIP_CHECK(at(page).users > 0 || at(page).kept, "a shared page holds something");
  if (at(page).users++ == 0) {
    kept_.erase(at(page).place);
  }
}

void PagePool::give_back(std::vector<int32_t>& pages) {
  for (auto page = pages.rbegin(); page != pages.rend(); ++page) {
    LONGSHIP_CHECK(at(*page).users > 0, "a page was given back twice");
    if (--at(*page).users > 0) {
      continue;
    }
    if (at(*page).kept) {
      at(*page).place = kept_.insert(kept_.end(), *page);
    } else {
      blank_.push_back(*page);
    }
  }
  pages.clear();
}

}  // namespace longship
