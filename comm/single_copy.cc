#include "comm/single_copy.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace longship {

namespace {

constexpr auto kFloatBytes = static_cast<int64_t>(sizeof(float));
// Values of all nodes that are added up at a time, and sums that are read at a time: few enough to stay in a cache,
// enough to ask the kernel seldom (measured from 2^16 to 2^20).
constexpr int64_t kPieceBytes = int64_t{1} << 20;

}  // namespace

SingleCopy::SingleCopy(ShmGroup& group, std::unique_ptr<PeerMemory> peers)
    : group_(group), peers_(std::move(peers)), places_(static_cast<std::size_t>(group.size())) {}

// A round in which every rank says where its values are. Others read them until it has seen all in a later round.
void SingleCopy::show(const Places& places, std::string_view operation) {
  group_.begin_round(operation);
  std::memcpy(group_.outgoing(), &places, sizeof places);
  group_.arrive();
  for (int rank = 0; rank < group_.size(); ++rank) {
    std::memcpy(&places_[static_cast<std::size_t>(rank)], group_.incoming(rank, operation), sizeof places);
  }
}

void SingleCopy::wait_for_all(std::string_view operation) {
  group_.begin_round(operation);
  group_.arrive();
  for (int rank = 0; rank < group_.size(); ++rank) {
    group_.incoming(rank, operation);
  }
}

// A lost rank is waited for as in any other operation: whoever started the ranks says what has become of it.
void SingleCopy::read(int peer, const void* from, int64_t bytes, void* to, std::string_view operation) {
  if (!peers_->read(peer, from, bytes, to)) {
    group_.wait_until([] { return false; }, peer, operation);
  }
}

void SingleCopy::reduce(const Reduction& reduction) {
  show({reinterpret_cast<const std::byte*>(reduction.nodes), reduction.out}, reduction.operation);
  add_part(reduction);
  wait_for_all(reduction.operation);
  collect_sums(reduction);
  wait_for_all(reduction.operation);
}

void SingleCopy::add_part(const Reduction& reduction) {
  const auto& [nodes, tree, count, out, operation, complete] = reduction;
  const int64_t begin = part_begin(count, group_.size(), group_.rank());
  const int64_t end = part_begin(count, group_.size(), group_.rank() + 1);
  const int64_t longest = std::max<int64_t>(1, kPieceBytes / kFloatBytes / std::max(1, tree.node_count()));
  pieces_.resize(static_cast<std::size_t>(longest * tree.node_count()));
  for (int64_t at = begin; at < end; at += longest) {
    const int64_t length = std::min(longest, end - at);
    float* piece = pieces_.data();
    addends_.clear();
    for (int peer = 0; peer < group_.size(); ++peer) {
      const auto* from = reinterpret_cast<const float*>(places_[static_cast<std::size_t>(peer)].values);
      for (int node = 0; node < tree.node_count(peer); ++node, piece += longest) {
        const float* values = from + node * count + at;
        if (peer != group_.rank()) {
          read(peer, values, length * kFloatBytes, piece, operation);
          values = piece;
        }
        addends_.push_back(values);
      }
    }
    sum_.add(tree, addends_, length, out + at);
  }
}

void SingleCopy::collect_sums(const Reduction& reduction) {
  constexpr int64_t kLongest = kPieceBytes / kFloatBytes;
  const int64_t count = reduction.count;
  for (int peer = 0; peer < group_.size(); ++peer) {
    const int64_t end = part_begin(count, group_.size(), peer + 1);
    for (int64_t at = part_begin(count, group_.size(), peer); at < end; at += kLongest) {
      const int64_t length = std::min(kLongest, end - at);
      if (peer != group_.rank()) {
        read(peer, places_[static_cast<std::size_t>(peer)].sums + at, length * kFloatBytes, reduction.out + at,
             reduction.operation);
      }
      if (reduction.complete != nullptr) {
        (*reduction.complete)({at, at + length});
      }
    }
  }
}

void SingleCopy::gather(const Tensor& part, std::span<const int64_t> counts, std::byte* out,
                        std::string_view operation) {
  show({part.data<std::byte>(), nullptr}, operation);
  std::byte* own = nullptr;
  for (int peer = 0; peer < group_.size() && out != nullptr; ++peer) {
    const int64_t bytes = bytes_of(part.dtype(), counts[static_cast<std::size_t>(peer)]);
    if (peer == group_.rank()) {
      own = out;
    } else {
      read(peer, places_[static_cast<std::size_t>(peer)].values, bytes, out, operation);
    }
    out += bytes;
  }
  if (own != nullptr && !part.empty()) {
    std::memcpy(own, part.data<std::byte>(), static_cast<std::size_t>(part.bytes()));
  }
  wait_for_all(operation);
}

}  // namespace longship
