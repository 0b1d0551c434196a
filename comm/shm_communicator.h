#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "comm/communicator.h"
#include "comm/reduction.h"
#include "comm/shm_group.h"
#include "comm/shm_mail.h"
#include "comm/single_copy.h"
#include "comm/tree_sum.h"

namespace longship {

/// One rank's end of a group whose ranks are all on one host and move data through memory that they share. Small
/// reductions take one round, in which everyone adds up everything; in larger ones each rank adds up its part of a
/// chunk while it hands out the sums of the chunk before. The largest go by SingleCopy where ranks may read each
/// other's memory.
class ShmCommunicator final : public Communicator {
 public:
  /// All ranks of `port` together. Null, on every rank, if one of them cannot share memory with the others; the port is
  /// then left as it was.
  static std::unique_ptr<Communicator> make(MpiJob& job, std::unique_ptr<MpiPort>& port);

  int rank() const override { return group_->rank(); }
  int size() const override { return group_->size(); }
  std::string_view wire() const override { return "shm"; }
  void tree_reduce(const Tensor& nodes, const ReductionTree& tree, Tensor& out, Stream& stream) override;
  void tree_reduce_add_norm(const Tensor& nodes, const ReductionTree& tree, Tensor& out, const AddNorm& then,
                            const ApplyToRows& apply, Stream& stream) override;
  void all_reduce(Tensor& x, Stream& stream) override;
  void all_gather(const Tensor& part, std::span<const int64_t> counts, Tensor& out, Stream& stream) override;
  void gather(const Tensor& part, std::span<const int64_t> counts, int root, Tensor& out, Stream& stream) override;
  void reduce_scatter(const Tensor& x, std::span<const int64_t> counts, Tensor& part, Stream& stream) override;
  void broadcast(Tensor& x, int root, Stream& stream) override;
  void send(const Tensor& x, int to, Stream& stream) override;
  void recv(Tensor& x, int from, Stream& stream) override;
  void progress() override { group_->job().advance(); }

 private:
  struct Chunk {
    int64_t begin = 0;
    int64_t count = 0;
  };

  ShmCommunicator(std::unique_ptr<MpiPort> port, std::unique_ptr<ShmGroup> group, std::unique_ptr<PeerMemory> peers);

  void reduce(const Reduction& reduction);
  /// Whether an operation of so many bytes goes by single_copy_.
  bool copies_once(int64_t bytes, int64_t least) const { return single_copy_ != nullptr && bytes >= least; }
  void reduce_in_one_round(const Reduction& reduction);
  void reduce_in_chunks(const Reduction& reduction);
  void hand_out(const Reduction& reduction, const Chunk& nodes, const Chunk& sums);
  void add_part(const Reduction& reduction, const Chunk& chunk);
  void collect_sums(const Reduction& reduction, const Chunk& chunk);
  void take_parts(const Tensor& part, std::span<const int64_t> counts, std::byte* out, std::string_view operation);

  std::unique_ptr<MpiPort> port_;
  std::unique_ptr<ShmGroup> group_;
  std::unique_ptr<SingleCopy> single_copy_;  ///< Null where ranks cannot read each other's memory.
  ShmMail mail_;
  ReductionTree ranks_tree_;  ///< One group a rank.
  TreeSum sum_;
  std::vector<const float*> addends_;  ///< Kept between calls, so that a step allocates nothing.
};

}  // namespace longship
