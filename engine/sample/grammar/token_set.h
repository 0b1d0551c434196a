#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace longship {

/// A set of token ids below a size. Value semantics.
class TokenSet {
 public:
  TokenSet() = default;
  explicit TokenSet(int64_t size) : size_(size), words_(static_cast<std::size_t>((size + 63) / 64)) {}

  /// The set whose words() these are.
  static TokenSet of_words(int64_t size, std::vector<uint64_t> words) {
    TokenSet result;
    result.size_ = size;
    result.words_ = std::move(words);
    return result;
  }

  int64_t size() const { return size_; }
  /// Bit i % 64 of word i / 64 says whether id i is in the set.
  std::span<const uint64_t> words() const { return words_; }
  /// Ids outside the size are in no set.
  bool has(int64_t id) const {
    return id >= 0 && id < size_ && (words_[static_cast<std::size_t>(id / 64)] >> (id % 64) & 1) != 0;
  }
  void add(int64_t id) { words_[static_cast<std::size_t>(id / 64)] |= uint64_t{1} << (id % 64); }
  void remove(int64_t id) { words_[static_cast<std::size_t>(id / 64)] &= ~(uint64_t{1} << (id % 64)); }
  TokenSet& operator|=(const TokenSet& other) {
    for (std::size_t i = 0; i < words_.size(); ++i) {
      words_[i] |= other.words_[i];
    }
    return *this;
  }
  TokenSet& operator&=(const TokenSet& other) {
    for (std::size_t i = 0; i < words_.size(); ++i) {
      words_[i] &= other.words_[i];
    }
    return *this;
  }
  /// The ids of this set that are below `size`.
  TokenSet resized(int64_t size) const {
    TokenSet result = *this;
    result.size_ = size;
    result.words_.resize(static_cast<std::size_t>((size + 63) / 64));
    if (size < size_ && size % 64 != 0) {
      result.words_.back() &= (uint64_t{1} << (size % 64)) - 1;
    }
    return result;
  }
  bool empty() const {
    return std::all_of(words_.begin(), words_.end(), [](uint64_t word) { return word == 0; });
  }
  std::size_t bytes() const { return words_.size() * sizeof(uint64_t); }

  friend bool operator==(const TokenSet&, const TokenSet&) = default;

 private:
  int64_t size_ = 0;
  std::vector<uint64_t> words_;
};

}  // namespace longship
