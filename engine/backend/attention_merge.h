#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <utility>

namespace longship {

/// The order in which attention's chunks are merged, the same in every backend, in prefill and in decode.
///
/// Chunk c holds the keys [64 c, 64 c + 64) that the token sees. Nodes of the merge are aligned runs of 2^level
/// chunks: chunk c is added at level 0 and carries, as in a binary counter, while its level holds a node: the older
/// node (lower chunks) is merged with the newer. A chunk without visible keys (before a sliding window) is the
/// identity: a merge with it returns the other side unchanged. After the last chunk the nodes left over are merged
/// from the newest (lowest level) to the oldest: acc = merge(older, acc).
///
/// `Partial` is movable; `merge(older, newer)` returns their merge.
template <class Partial, class Merge>
class ChunkMerger {
 public:
  explicit ChunkMerger(Merge merge) : merge_(std::move(merge)) {}

  /// Adds chunk `chunk`; nothing for a chunk without visible keys. Chunks come in order, all from 0 or, because those
  /// before are identities, from any first chunk.
  void add(int64_t chunk, std::optional<Partial> partial) {
    int level = 0;
    for (; (chunk >> level) & 1; ++level) {
      std::optional<Partial>& older = nodes_[static_cast<std::size_t>(level)];
      if (older && partial) {
        partial = merge_(*std::exchange(older, std::nullopt), *partial);
      } else if (older) {
        partial = std::exchange(older, std::nullopt);
      }
    }
    nodes_[static_cast<std::size_t>(level)] = std::move(partial);
  }

  /// The merge of everything added; at least one chunk had keys.
  Partial finish() {
    std::optional<Partial> result;
    for (std::optional<Partial>& node : nodes_) {
      if (node && result) {
        result = merge_(*std::exchange(node, std::nullopt), *result);
      } else if (node) {
        result = std::exchange(node, std::nullopt);
      }
    }
    return std::move(*result);
  }

 private:
  static constexpr std::size_t kLevels = 32;
  Merge merge_;
  std::array<std::optional<Partial>, kLevels> nodes_;
};

}  // namespace longship
