#pragma once

#include <cstddef>
#include <list>
#include <map>
#include <utility>

namespace longship {

/// Values by key. Once they take more than a bound, those least recently used are let go. Not synchronised.
template <class Key, class Value>
class RecentlyUsed {
 public:
  explicit RecentlyUsed(std::size_t most_bytes) : most_bytes_(most_bytes) {}

  /// Holds until the next add(); nullptr: none is there.
  const Value* find(const Key& key) {
    const auto known = places_.find(key);
    if (known == places_.end()) {
      return nullptr;
    }
    entries_.splice(entries_.begin(), entries_, known->second);
    return &entries_.front().value;
  }

  /// A key that is not there; its value takes so many bytes, and stays at least until the next add().
  const Value& add(Key key, Value value, std::size_t bytes) {
    bytes_ += bytes;
    while (bytes_ > most_bytes_ && !entries_.empty()) {
      bytes_ -= entries_.back().bytes;
      places_.erase(*entries_.back().key);
      entries_.pop_back();
    }
    const auto place = places_.emplace(std::move(key), entries_.end()).first;
    entries_.push_front({&place->first, std::move(value), bytes});
    place->second = entries_.begin();
    return entries_.front().value;
  }

  std::size_t bytes() const { return bytes_; }
  void clear() {
    entries_.clear();
    places_.clear();
    bytes_ = 0;
  }

 private:
  struct Entry {
    const Key* key;
    Value value;
    std::size_t bytes;
  };

  std::size_t most_bytes_;
  std::list<Entry> entries_;  ///< The most recently used first.
  std::map<Key, typename std::list<Entry>::iterator> places_;
  std::size_t bytes_ = 0;
};

}  // namespace longship
