#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "core/add_norm.h"
#include "core/reduction_tree.h"
#include "core/stream.h"
#include "core/tensor.h"

namespace longship {

/// A group of ranks that move tensors between them. One object a rank; every collective is called by all
/// ranks of the group in the same order, from the one thread that drives the rank. Operations are ordered by
/// the stream; on a CPU an operation's result is there when the call returns, except that send() may still be
/// on its way. A wait beyond the transport's deadline throws kRank naming the operation.
/// A group of one is the identity.
class Communicator {
 public:
  virtual ~Communicator() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// What it moves data over: "self", "shm", "mpi", "ipc", "nccl", ...
  virtual std::string_view wire() const = 0;

  /// The reduction of the model: `nodes` [tree.node_count(rank()), ...] f32 are this rank's nodes, `out` [...]
  /// is the root, the same bits on every rank: each part of the output is added up by one rank in the order
  /// of the tree, then gathered. A rank without nodes takes part.
  virtual void tree_reduce(const Tensor& nodes, const ReductionTree& tree, Tensor& out, Stream& stream) = 0;

  /// Whether tree_reduce() along this tree, and what is built on it, only puts operations on the stream of a device: it
  /// never waits for the host, and what it puts there may be recorded and repeated. The same on every rank.
  virtual bool is_recordable(const ReductionTree& /*tree*/) const { return false; }
  /// The same of all_gather() of values of four bytes.
  virtual bool gathers_recordably() const { return false; }
  /// Whether send() and recv() between neighbours in the ring of ranks only put operations on the stream of a device:
  /// the host never waits. The same on every rank.
  virtual bool sends_on_device() const { return false; }

  /// Does what an AddNorm says with the rows of a root that have come, on the stream.
  using ApplyToRows = std::function<void(Range rows)>;
  /// tree_reduce() of rows `out` [T, D], then `then` of them on every rank, the same bits in whatever way it is done:
  /// apply(), which writes to none of them, in the order of the rows while they are near, or in a kernel of the
  /// transport. What `out` holds afterwards is undefined.
  virtual void tree_reduce_add_norm(const Tensor& nodes, const ReductionTree& tree, Tensor& out,
                                    const AddNorm& /*then*/, const ApplyToRows& apply, Stream& stream) {
    tree_reduce(nodes, tree, out, stream);
    apply({0, out.dim(0)});
  }

  /// Sum over ranks in place, f32, in an order of the transport's choice: for benches and control only.
  virtual void all_reduce(Tensor& x, Stream& stream) = 0;
  /// `out` is the concatenation of every rank's `part`; counts[r] values come from rank r.
  virtual void all_gather(const Tensor& part, std::span<const int64_t> counts, Tensor& out, Stream& stream) = 0;
  /// As all_gather, but only `root` receives; elsewhere `out` is ignored.
  virtual void gather(const Tensor& part, std::span<const int64_t> counts, int root, Tensor& out, Stream& stream) = 0;
  /// Rank r gets the sum over ranks of part r of `x`; counts[r] values long. Order as in all_reduce.
  virtual void reduce_scatter(const Tensor& x, std::span<const int64_t> counts, Tensor& part, Stream& stream) = 0;
  virtual void broadcast(Tensor& x, int root, Stream& stream) = 0;

  /// Point to point, in order between a pair of ranks. send() copies what it must and returns at once, so
  /// activations travel while the next plan computes; a bounded number may be under way.
  virtual void send(const Tensor& x, int to, Stream& stream) = 0;
  virtual void recv(Tensor& x, int from, Stream& stream) = 0;
  /// Lets outstanding sends progress. Called between operations; never waits.
  virtual void progress() = 0;

  /// The same ranks for tensors in host memory, where this group moves those of another device. Lives as long as this.
  virtual Communicator& host() { return *this; }
};

}  // namespace longship
