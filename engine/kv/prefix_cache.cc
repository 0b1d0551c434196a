#include "engine/kv/prefix_cache.h"

#include <algorithm>

namespace longship {

// Multiply and fold, token by token; the constant is the odd number nearest to 2^64 / golden ratio.
std::size_t PrefixCache::Hash::operator()(const KeyView& key) const {
  uint64_t hash = key.before;
  for (const int32_t token : key.tokens) {
    hash = (hash ^ static_cast<uint32_t>(token)) * 0x9E3779B97F4A7C15U;
    hash ^= hash >> 32U;
  }
  return hash;
}

bool PrefixCache::Equal::operator()(const KeyView& a, const KeyView& b) const {
  return a.before == b.before && std::equal(a.tokens.begin(), a.tokens.end(), b.tokens.begin(), b.tokens.end());
}

std::optional<PrefixCache::Page> PrefixCache::find(Id before, std::span<const int32_t> tokens) const {
  const auto found = pages_.find(KeyView{before, tokens});
  return found == pages_.end() ? std::nullopt : std::optional(found->second);
}

PrefixCache::Page PrefixCache::insert(Id before, std::span<const int32_t> tokens, int32_t page, uint64_t step) {
  const auto [place, is_new] =
      pages_.try_emplace(Key{before, {tokens.begin(), tokens.end()}}, Page{last_id_ + 1, page, step});
  if (is_new) {
    ++last_id_;
    keys_[page] = &place->first;
  }
  return place->second;
}

bool PrefixCache::restore(Id before, std::span<const int32_t> tokens, const Page& page) {
  if (!knows(before)) {
    return false;
  }
  const auto [place, is_new] = pages_.try_emplace(Key{before, {tokens.begin(), tokens.end()}}, page);
  if (is_new) {
    ids_.insert(page.id);
    keys_[page.page] = &place->first;
    last_id_ = std::max(last_id_, page.id);
  }
  return is_new;
}

void PrefixCache::forget(int32_t page) {
  if (const auto key = keys_.find(page); key != keys_.end()) {
    pages_.erase(pages_.find(KeyView(*key->second)));
    keys_.erase(key);
  }
}

}  // namespace longship
