#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/kv/prefix_cache.h"

namespace longship {

/// What each page of the key/value cache holds, in memory that outlives the leader as the pages outlive their ranks:
/// the leader that follows one that was killed knows by it what it need not compute again. At whatever instant the
/// leader ends, what take_over() tells the next is true. Written by one thread; the memory outlives the object.
class KeptPages {
 public:
  /// A page, of which the positions of `tokens` are written.
  struct Page {
    int32_t page = 0;
    PrefixCache::Id id = PrefixCache::kBeginning;      ///< Its name, if it is full.
    PrefixCache::Id before = PrefixCache::kBeginning;  ///< Names the tokens before the page's.
    uint64_t step = 0;                                 ///< That computed it, if it is full.
    std::span<const int32_t> tokens;                   ///< In the memory: until forget() of the page.

    bool full() const { return id != PrefixCache::kBeginning; }
  };

  static int64_t bytes(int64_t pages, int64_t page_tokens);
  /// `memory` has bytes(...) bytes, aligned to 8: zeros, or what an earlier object of the same sizes left.
  KeptPages(std::byte* memory, int64_t pages, int64_t page_tokens);

  /// For the next leader, before it notes anything: what was known when the last one ended. Full pages by their names,
  /// so that each comes behind the one before it, then parts. Pages of steps that had not run are full no more.
  std::vector<Page> take_over();
  /// Steps before this one have run, on every rank.
  uint64_t steps_done() const;
  void note_done(uint64_t steps);

  /// The page gets other contents.
  void forget(int32_t page);
  /// Of the positions written, only the first `tokens` are, from now on.
  void shorten(int32_t page, int64_t tokens);
  /// The page is full once `step` has run; `tokens` go on with what a part of it held.
  void note_full(int32_t page, PrefixCache::Id before, PrefixCache::Id id, std::span<const int32_t> tokens,
                 uint64_t step);
  /// The positions of `tokens`, fewer than a page has, are written; they go on with what was noted of it before.
  void note_part(int32_t page, PrefixCache::Id before, std::span<const int32_t> tokens);

 private:
  struct Record {
    uint64_t filled;  ///< Positions written, as far as parts were noted; what follows is valid if it is not 0 ...
    uint64_t id;      ///< ... or this is not.
    uint64_t before;
    uint64_t step;
  };

  Record& record(int32_t page) const;
  int32_t* tokens_of(Record& record) const;

  std::byte* memory_;
  int64_t pages_;
  int64_t page_tokens_;
};

}  // namespace longship
