#pragma once

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "comm/peer_memory.h"
#include "comm/reduction.h"
#include "comm/shm_group.h"
#include "comm/tree_sum.h"
#include "core/tensor.h"

namespace longship {

/// Large operations of the ranks of one host that may read each other's memory: what one rank has for another is copied
/// once, not into shared memory and out of it. All ranks of the group call each together.
class SingleCopy {
 public:
  /// `group` outlives it.
  SingleCopy(ShmGroup& group, std::unique_ptr<PeerMemory> peers);

  /// Each rank adds up its part of the values, then reads the other parts' sums.
  void reduce(const Reduction& reduction);
  /// Every rank's part into `out`, in rank order; where `out` is null, only lets others read `part`.
  void gather(const Tensor& part, std::span<const int64_t> counts, std::byte* out, std::string_view operation);

 private:
  /// Where a rank has what others read.
  struct Places {
    const std::byte* values;
    const float* sums;
  };

  void show(const Places& places, std::string_view operation);
  void wait_for_all(std::string_view operation);
  void read(int peer, const void* from, int64_t bytes, void* to, std::string_view operation);
  void add_part(const Reduction& reduction);
  void collect_sums(const Reduction& reduction);

  ShmGroup& group_;
  std::unique_ptr<PeerMemory> peers_;
  TreeSum sum_;
  std::vector<Places> places_;  ///< Of every rank.
  std::vector<float> pieces_;   ///< Of the other ranks' nodes.
  std::vector<const float*> addends_;
};

}  // namespace longship
