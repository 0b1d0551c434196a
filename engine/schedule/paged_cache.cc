#include "engine/schedule/paged_cache.h"

#include <algorithm>
#include <utility>

namespace longship {

PagedCache::PagedCache(int64_t pages, int64_t page_tokens, bool share)
    : pool_(pages), page_tokens_(page_tokens), share_(share) {}

std::span<const int32_t> PagedCache::tokens_of_page(const Sequence& sequence, int64_t page) const {
  return std::span(sequence.tokens)
      .subspan(static_cast<std::size_t>(page * page_tokens_), static_cast<std::size_t>(page_tokens_));
}

// A sequence that still has to report its prompt's logits skips nothing.
int64_t PagedCache::most_adoptable(const Sequence& sequence) const {
  const bool runs_all = sequence.reports_prompt() && sequence.prompt_reported < sequence.prompt_tokens();
  return share_ && !runs_all ? (sequence.length() - 1) / page_tokens_ : 0;
}

int64_t PagedCache::adoptable_in_use(const Sequence& sequence) const {
  int64_t in_use = 0;
  PrefixCache::Id prefix = sequence.prefix;
  for (int64_t page = sequence.known_pages; page < most_adoptable(sequence); ++page) {
    const auto found = prefixes_.find(prefix, tokens_of_page(sequence, page));
    if (!found) {
      break;
    }
    prefix = found->id;
    in_use += pool_.users(found->page) > 0 ? 1 : 0;
  }
  return in_use;
}

bool PagedCache::adopt(Sequence& sequence, uint64_t step) {
  if (share_ && !std::exchange(sequence.looked_up, true)) {
    queried_tokens_ += sequence.length();
  }
  while (sequence.known_pages < most_adoptable(sequence)) {
    const auto found = prefixes_.find(sequence.prefix, tokens_of_page(sequence, sequence.known_pages));
    if (!found) {
      break;
    }
    if (found->step >= step) {
      return false;
    }
    pool_.share(found->page);
    const auto place = static_cast<std::size_t>(sequence.known_pages);
    if (place < sequence.pages.size()) {  // computed in part
      std::vector<int32_t> own = {std::exchange(sequence.pages[place], found->page)};
      pool_.give_back(own);
    } else {
      sequence.pages.push_back(found->page);
    }
    sequence.prefix = found->id;
    const int64_t end = ++sequence.known_pages * page_tokens_;
    if (sequence.epoch == 0) {
      found_tokens_ += end - sequence.computed;
      sequence.cached +=
          std::min(end, sequence.prompt_tokens()) - std::min(sequence.computed, sequence.prompt_tokens());
    }
    sequence.computed = end;
  }
  return true;
}

int64_t PagedCache::to_page_end(const Sequence& sequence, int64_t tokens, int64_t most) const {
  const int64_t end = sequence.computed + tokens;
  if (!share_ || end >= sequence.length()) {
    return tokens;
  }
  const int64_t next_end = (sequence.computed / page_tokens_ + 1) * page_tokens_;
  const int64_t page_end = std::max(next_end, end / page_tokens_ * page_tokens_);
  return std::min({page_end, sequence.length(), sequence.computed + most}) - sequence.computed;
}

bool PagedCache::grow(Sequence& sequence, int64_t tokens) {
  const int64_t needed = pages_for(tokens);
  while (static_cast<int64_t>(sequence.pages.size()) < needed && pool_.free_pages() > 0) {
    sequence.pages.push_back(pool_.take());
    prefixes_.forget(sequence.pages.back());
  }
  return static_cast<int64_t>(sequence.pages.size()) >= needed;
}

void PagedCache::offer(Sequence& sequence) {
  while (share_ && (sequence.known_pages + 1) * page_tokens_ <= sequence.computed) {
    const int32_t page = sequence.pages[static_cast<std::size_t>(sequence.known_pages)];
    const PrefixCache::Page known =
        prefixes_.insert(sequence.prefix, tokens_of_page(sequence, sequence.known_pages), page, sequence.last_step);
    if (known.page == page) {
      pool_.keep(page);
    }
    sequence.prefix = known.id;
    ++sequence.known_pages;
  }
}

void PagedCache::release(Sequence& sequence) {
  pool_.give_back(sequence.pages);
  sequence.computed = 0;
  sequence.prefix = PrefixCache::kBeginning;
  sequence.known_pages = 0;
}

}  // namespace longship
