#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace longship {

/// Finds full pages by the tokens that they hold and by the page before them, whose own tokens are known in the same
/// way: so a page is found only if all tokens from the beginning of the text are the same. Not synchronised.
class PrefixCache {
 public:
  /// Names the tokens from the beginning of a text to the end of a page; never given twice.
  using Id = uint64_t;
  /// The beginning of every text ...
  static constexpr Id kBeginning = 0;
  /// ... that the model runs as it is. Each of its adapters, from 1 on, has texts of its own.
  static constexpr Id beginning_with(int32_t adapter) { return kBeginning - static_cast<Id>(adapter); }

  struct Page {
    Id id = kBeginning;
    int32_t page = 0;
    uint64_t step = 0;  ///< The page may be read by steps after this one.
  };

  /// The page that holds `tokens` behind those that `before` names.
  std::optional<Page> find(Id before, std::span<const int32_t> tokens) const;
  /// Remembers what a page holds that is not remembered yet, unless another page holds the same: gives the one that
  /// does.
  Page insert(Id before, std::span<const int32_t> tokens, int32_t page, uint64_t step);
  /// Remembers a page under the name that it had in an earlier cache; false if the page before it was not, or
  /// another page holds the same.
  bool restore(Id before, std::span<const int32_t> tokens, const Page& page);
  /// Whether a restored page, or a beginning, has this name.
  bool knows(Id id) const { return is_beginning(id) || ids_.contains(id); }
  /// The page, if it is remembered, gets other contents.
  void forget(int32_t page);

 private:
  static constexpr bool is_beginning(Id id) { return id == kBeginning || id >= beginning_with(INT32_MAX); }

  // Compared as a whole: equal hashes alone give no page.
  struct KeyView {
    Id before = kBeginning;
    std::span<const int32_t> tokens;
  };
  struct Key {
    Id before = kBeginning;
    std::vector<int32_t> tokens;

    operator KeyView() const { return {before, tokens}; }  // NOLINT(google-explicit-constructor): looked up by a view
  };
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(const KeyView& key) const;
  };
  struct Equal {
    using is_transparent = void;
    bool operator()(const KeyView& a, const KeyView& b) const;
  };

  std::unordered_map<Key, Page, Hash, Equal> pages_;
  std::unordered_map<int32_t, const Key*> keys_;  ///< Of each page that is remembered.
  std::unordered_set<Id> ids_;                    ///< Of pages that were restored.
  Id last_id_ = kBeginning;
};

}  // namespace longship
