#include "engine/kv/kept_pages.h"

#include <algorithm>
#include <atomic>
#include <tuple>

namespace longship {

namespace {

// The steps done stand before the records.
constexpr int64_t kHeaderBytes = 64;

uint64_t load(uint64_t& word) {
  return std::atomic_ref(word).load(std::memory_order_acquire);
}

// What was written before is there for whoever reads `value`, also if this process ends behind this store.
void store(uint64_t& word, uint64_t value) {
  std::atomic_ref(word).store(value, std::memory_order_release);
}

int64_t record_bytes(int64_t record, int64_t page_tokens) {
  constexpr int64_t kAlignment = 8;
  const auto bytes = record + page_tokens * static_cast<int64_t>(sizeof(int32_t));
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

}  // namespace

int64_t KeptPages::bytes(int64_t pages, int64_t page_tokens) {
  return kHeaderBytes + pages * record_bytes(sizeof(Record), page_tokens);
}

KeptPages::KeptPages(std::byte* memory, int64_t pages, int64_t page_tokens)
    : memory_(memory), pages_(pages), page_tokens_(page_tokens) {}

KeptPages::Record& KeptPages::record(int32_t page) const {
  return *reinterpret_cast<Record*>(memory_ + kHeaderBytes + page * record_bytes(sizeof(Record), page_tokens_));
}

int32_t* KeptPages::tokens_of(Record& record) const {
  return reinterpret_cast<int32_t*>(&record + 1);
}

uint64_t KeptPages::steps_done() const {
  return load(*reinterpret_cast<uint64_t*>(memory_));
}

void KeptPages::note_done(uint64_t steps) {
  store(*reinterpret_cast<uint64_t*>(memory_), steps);
}

std::vector<KeptPages::Page> KeptPages::take_over() {
  const uint64_t done = steps_done();
  std::vector<Page> known;
  for (int32_t page = 0; page < pages_; ++page) {
    Record& entry = record(page);
    const bool full = load(entry.id) != PrefixCache::kBeginning && entry.step < done;
    if (!full) {
      store(entry.id, PrefixCache::kBeginning);
    }
    const auto filled = static_cast<std::size_t>(full ? static_cast<uint64_t>(page_tokens_) : load(entry.filled));
    if (filled != 0) {
      known.push_back({.page = page,
                       .id = full ? entry.id : PrefixCache::kBeginning,
                       .before = entry.before,
                       .step = entry.step,
                       .tokens = {tokens_of(entry), filled}});
    }
  }
  std::sort(known.begin(), known.end(), [](const Page& a, const Page& b) {
    return std::tuple(!a.full(), a.id, a.page) < std::tuple(!b.full(), b.id, b.page);
  });
  return known;
}

void KeptPages::forget(int32_t page) {
  Record& entry = record(page);
  store(entry.id, PrefixCache::kBeginning);
  store(entry.filled, 0);
  std::atomic_thread_fence(std::memory_order_seq_cst);  // before anything that is written of its next contents
}

void KeptPages::shorten(int32_t page, int64_t tokens) {
  store(record(page).filled, static_cast<uint64_t>(tokens));
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

void KeptPages::note_full(int32_t page, PrefixCache::Id before, PrefixCache::Id id, std::span<const int32_t> tokens,
                          uint64_t step) {
  Record& entry = record(page);
  std::copy(tokens.begin(), tokens.end(), tokens_of(entry));
  entry.before = before;
  entry.step = step;
  store(entry.id, id);
}

void KeptPages::note_part(int32_t page, PrefixCache::Id before, std::span<const int32_t> tokens) {
  Record& entry = record(page);
  const auto filled = static_cast<std::size_t>(load(entry.filled));
  if (filled < tokens.size()) {
    std::copy(tokens.begin() + static_cast<std::ptrdiff_t>(filled), tokens.end(), tokens_of(entry) + filled);
    entry.before = before;
    store(entry.filled, tokens.size());
  }
}

}  // namespace longship
