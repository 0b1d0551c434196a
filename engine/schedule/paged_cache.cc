#include "engine/schedule/paged_cache.h"

#include <algorithm>
#include <utility>

namespace longship {

PagedCache::PagedCache(int64_t pages, int64_t page_tokens, bool share, KeptPages* kept)
    : pool_(pages), page_tokens_(page_tokens), share_(share), kept_(share ? kept : nullptr) {
  if (kept_ != nullptr) {
    restore();
  }
}

void PagedCache::restore() {
  std::vector<int32_t> found;
  for (const KeptPages::Page& page : kept_->take_over()) {
    const bool of_use = page.full() ? prefixes_.restore(page.before, page.tokens, {page.id, page.page, page.step})
                                    : prefixes_.knows(page.before);
    if (!of_use) {
      kept_->forget(page.page);
      continue;
    }
    found.push_back(page.page);
    if (!page.full()) {
      parts_.push_back(page);
    }
  }
  pool_.restore(found);
}

std::span<const int32_t> PagedCache::tokens_of_page(const Sequence& sequence, int64_t page) const {
  return std::span(sequence.tokens)
      .subspan(static_cast<std::size_t>(page * page_tokens_), static_cast<std::size_t>(page_tokens_));
}

namespace {

// A sequence that still has to report its prompt's logits skips nothing.
bool runs_all(const Sequence& sequence) {
  return sequence.reports_prompt() && sequence.prompt_reported < sequence.prompt_tokens();
}

}  // namespace

int64_t PagedCache::most_adoptable(const Sequence& sequence) const {
  return share_ && !runs_all(sequence) ? (sequence.length() - 1) / page_tokens_ : 0;
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
    skip_to(sequence, ++sequence.known_pages * page_tokens_);
  }
  adopt_part(sequence);
  return true;
}

// The part of a page that goes furthest along with the sequence, which writes on in it, and how far.
std::pair<KeptPages::Page, int64_t> PagedCache::longest_part(const Sequence& sequence) const {
  const std::span<const int32_t> tokens =
      std::span(sequence.tokens)
          .subspan(static_cast<std::size_t>(sequence.computed))
          .first(static_cast<std::size_t>(sequence.length() - 1 - sequence.computed));
  std::pair<KeptPages::Page, int64_t> longest;
  for (const KeptPages::Page& part : parts_) {
    if (part.before == sequence.prefix) {
      const auto end = std::mismatch(tokens.begin(), tokens.end(), part.tokens.begin(), part.tokens.end()).first;
      if (const int64_t same = end - tokens.begin(); same > longest.second) {
        longest = {part, same};
      }
    }
  }
  return longest;
}

void PagedCache::adopt_part(Sequence& sequence) {
  const bool begins_page =
      sequence.computed == sequence.known_pages * page_tokens_ && std::ssize(sequence.pages) == sequence.known_pages;
  if (parts_.empty() || !begins_page || runs_all(sequence)) {
    return;
  }
  const auto [part, tokens] = longest_part(sequence);
  if (tokens == 0) {
    return;
  }
  pool_.take(part.page);
  kept_->shorten(part.page, tokens);
  std::erase_if(parts_, [page = part.page](const KeptPages::Page& other) { return other.page == page; });
  sequence.pages.push_back(part.page);
  skip_to(sequence, sequence.computed + tokens);
}

// The sequence need not compute its positions before `end`.
void PagedCache::skip_to(Sequence& sequence, int64_t end) {
  if (sequence.epoch == 0) {
    found_tokens_ += end - sequence.computed;
    sequence.cached += std::min(end, sequence.prompt_tokens()) - std::min(sequence.computed, sequence.prompt_tokens());
  }
  sequence.computed = end;
  if (sequence.draft_run) {
    sequence.draft_run->computed = end;
  }
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
    forget(sequence.pages.back());
  }
  return static_cast<int64_t>(sequence.pages.size()) >= needed;
}

void PagedCache::forget(int32_t page) {
  prefixes_.forget(page);
  if (kept_ != nullptr) {
    kept_->forget(page);
    std::erase_if(parts_, [page](const KeptPages::Page& part) { return part.page == page; });
  }
}

void PagedCache::offer(Sequence& sequence) {
  while (share_ && (sequence.known_pages + 1) * page_tokens_ <= sequence.known()) {
    const int32_t page = sequence.pages[static_cast<std::size_t>(sequence.known_pages)];
    const PrefixCache::Page known =
        prefixes_.insert(sequence.prefix, tokens_of_page(sequence, sequence.known_pages), page, sequence.last_step);
    if (known.page == page) {
      pool_.keep(page);
      if (kept_ != nullptr) {
        kept_->note_full(page, sequence.prefix, known.id, tokens_of_page(sequence, sequence.known_pages),
                         sequence.last_step);
      }
    }
    sequence.prefix = known.id;
    ++sequence.known_pages;
  }
}

void PagedCache::note_written(const Sequence& sequence, int64_t end) {
  end = sequence.draft_run ? std::min(end, sequence.draft_run->computed) : end;
  const int64_t page = end / page_tokens_;
  if (kept_ != nullptr && page == sequence.known_pages && end % page_tokens_ != 0) {
    const auto tokens = std::span(sequence.tokens).first(static_cast<std::size_t>(end));
    kept_->note_part(sequence.pages[static_cast<std::size_t>(page)], sequence.prefix,
                     tokens.subspan(static_cast<std::size_t>(page * page_tokens_)));
  }
}

void PagedCache::note_done(uint64_t steps) {
  if (kept_ != nullptr) {
    kept_->note_done(steps);
  }
}

void PagedCache::release(Sequence& sequence) {
  pool_.give_back(sequence.pages);
  sequence.computed = 0;
  if (sequence.draft_run) {
    sequence.draft_run.emplace();
  }
  sequence.prefix = sequence.beginning();
  sequence.known_pages = 0;
}

}  // namespace longship
