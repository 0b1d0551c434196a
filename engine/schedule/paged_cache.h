#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "engine/kv/kept_pages.h"
#include "engine/kv/page_pool.h"
#include "engine/kv/prefix_cache.h"
#include "engine/schedule/sequence.h"

namespace longship {

/// The pages of the key/value cache as sequences hold them. Sequences that begin with the same tokens share the pages
/// that are full of them, also with sequences that have ended, until the pages are needed for something else. A shared
/// page is never written: a sequence writes behind its tokens, and a page is shared once it is full. Not synchronised.
class PagedCache {
 public:
  /// `share`: off, every sequence computes all its pages, and nothing is kept. `kept`: what the pages hold by an
  /// earlier leader, and will for a later one; it outlives the cache; null: that is not known.
  PagedCache(int64_t pages, int64_t page_tokens, bool share, KeptPages* kept = nullptr);

  int64_t free_pages() const { return pool_.free_pages(); }
  /// Tokens of sequences that adopt() has looked for, each once, and those of them that it found.
  int64_t queried_tokens() const { return queried_tokens_; }
  int64_t found_tokens() const { return found_tokens_; }
  /// Tokens that the sequence's pages have room for.
  int64_t room(const Sequence& sequence) const { return static_cast<int64_t>(sequence.pages.size()) * page_tokens_; }
  int64_t pages_for(int64_t tokens) const { return (tokens + page_tokens_ - 1) / page_tokens_; }

  /// Pages in use by others that adopt() would give to the sequence.
  int64_t adoptable_in_use(const Sequence& sequence) const;
  /// Takes over what is there of the sequence's tokens for `step`; at least one token is left to compute. False if its
  /// next page is just being computed by that step: it is there for the next one.
  bool adopt(Sequence& sequence, uint64_t step);
  /// About so many tokens, at most `most`, that end with a page, where tokens of the sequence follow: others that need
  /// the page too wait for it, and do not compute a part of it themselves.
  int64_t to_page_end(const Sequence& sequence, int64_t tokens, int64_t most) const;
  /// Gives the sequence pages for so many tokens, as far as there are free ones; false if they did not suffice.
  bool grow(Sequence& sequence, int64_t tokens);
  /// Lets others find the full pages that the steps up to the sequence's last one compute.
  void offer(Sequence& sequence);
  /// The sequence's positions before `end` are written, on every rank.
  void note_written(const Sequence& sequence, int64_t end);
  /// The steps before this one have run.
  void note_done(uint64_t steps);
  /// Takes the sequence's pages: it is computed from its beginning if it goes on.
  void release(Sequence& sequence);

 private:
  void restore();
  void adopt_part(Sequence& sequence);
  void skip_to(Sequence& sequence, int64_t end);
  std::pair<KeptPages::Page, int64_t> longest_part(const Sequence& sequence) const;
  void forget(int32_t page);
  std::span<const int32_t> tokens_of_page(const Sequence& sequence, int64_t page) const;
  int64_t most_adoptable(const Sequence& sequence) const;

  PagePool pool_;
  PrefixCache prefixes_;
  int64_t page_tokens_;
  bool share_;
  KeptPages* kept_;
  std::vector<KeptPages::Page> parts_;  ///< Pages that an earlier leader filled in part, nobody's now.
  int64_t queried_tokens_ = 0;
  int64_t found_tokens_ = 0;
};

}  // namespace longship
