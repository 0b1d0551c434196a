#include "comm/cuda/ipc_communicator.h"

#include <atomic>
#include <exception>
#include <numeric>
#include <utility>
#include <vector>

#include "comm/cuda/ipc_kernels.h"
#include "comm/cuda/ipc_mail.h"
#include "comm/cuda/ipc_region.h"
#include "comm/tree_sum.h"
#include "cuda/memory.h"
#include "cuda/watch.h"

namespace longship {

namespace {

// Where what is in a rank's region: the header of messages, what kernels of all ranks meet by, and slots of messages.
constexpr std::size_t kMeetingBegin = IpcMailRoom::kHeaderBytes;
constexpr std::size_t kZeroBytes = kMeetingBegin + IpcView::kHeaderBytes;
std::size_t slots_begin(int ranks) {
  return kMeetingBegin + IpcView::region_bytes(ranks);
}
std::size_t region_bytes(int ranks) {
  return slots_begin(ranks) + IpcMailRoom::slots_bytes(ranks);
}

class IpcCommunicator final : public Communicator, private cuda::Watch {
 public:
  IpcCommunicator(std::unique_ptr<Communicator> staged, std::unique_ptr<IpcRegion> region,
                  std::chrono::milliseconds deadline, const GroupTraffic& most)
      : staged_(std::move(staged)),
        failure_(cuda::allocate_pinned(sizeof(uint32_t))),
        outboxes_(static_cast<std::size_t>(staged_->size())),
        region_(std::move(region)),
        inboxes_(static_cast<std::size_t>(staged_->size())),
        sum_of_ranks_(*TreeProgram::of(tree_of_ranks(staged_->size()))),
        deadline_(deadline) {
    *failure_word() = 0;
    view_.rank = rank();
    view_.ranks = size();
    for (int peer = 0; peer < size(); ++peer) {
      view_.regions[peer] = region_->of(peer) + kMeetingBegin;
    }
    view_.patience = {.deadline_ns = static_cast<uint64_t>(std::chrono::nanoseconds(deadline).count()),
                      .broken = reinterpret_cast<uint32_t*>(view_.regions[rank()]) + IpcView::kBrokenWord,
                      .failure = failure_word()};
    const IpcMailRoom room{.region = *region_,
                           .header = 0,
                           .slots = slots_begin(size()),
                           .rank = rank(),
                           .ranks = size(),
                           .largest = static_cast<std::size_t>(most.message_bytes),
                           .patience = view_.patience};
    for (const int step : {1, size() - 1}) {
      const int peer = (rank() + step) % size();
      if (outboxes_[static_cast<std::size_t>(peer)] == nullptr) {
        outboxes_[static_cast<std::size_t>(peer)] = std::make_unique<IpcOutbox>(room, peer);
        inboxes_[static_cast<std::size_t>(peer)] = std::make_unique<IpcInbox>(room, peer);
      }
    }
  }

  // What has been sent is in memory that the others see until all meet at the end of the region.
  ~IpcCommunicator() override {
    if (std::uncaught_exceptions() == 0) {
      for (const auto& outbox : outboxes_) {
        if (outbox != nullptr) {
          outbox->finish();
        }
      }
    }
  }

  int rank() const override { return staged_->rank(); }
  int size() const override { return staged_->size(); }
  std::string_view wire() const override { return "ipc"; }
  Communicator& host() override { return staged_->host(); }
  bool is_recordable(const ReductionTree& tree) const override { return TreeProgram::of(tree).has_value(); }
  bool gathers_recordably() const override { return true; }
  bool sends_on_device() const override { return true; }

  void tree_reduce(const Tensor& nodes, const ReductionTree& tree, Tensor& out, Stream& stream) override {
    LONGSHIP_CHECK(tree.ranks() == size() && nodes.elements() == tree.node_count(rank()) * out.elements(),
                   "tree_reduce needs this rank's nodes, each of the shape of the output");
    const std::optional<TreeProgram> program = TreeProgram::of(tree);
    if (!program.has_value()) {
      staged_->tree_reduce(nodes, tree, out, stream);
      return;
    }
    reduce(*program, nodes.data<float>(), out, IpcFailure::kTreeReduce, stream);
  }

  void tree_reduce_add_norm(const Tensor& nodes, const ReductionTree& tree, Tensor& out, const AddNorm& then,
                            const ApplyToRows& apply, Stream& stream) override {
    LONGSHIP_CHECK(tree.ranks() == size() && nodes.elements() == tree.node_count(rank()) * out.elements(),
                   "tree_reduce needs this rank's nodes, each of the shape of the output");
    const std::optional<TreeProgram> program = TreeProgram::of(tree);
    const IpcReduction reduction{.tree = program.value_or(TreeProgram{}),
                                 .nodes = nodes.data<float>(),
                                 .out = nullptr,
                                 .count = out.elements(),
                                 .operation = IpcFailure::kTreeReduce};
    if (!program.has_value() || !ipc_takes_rows(reduction, out.dim(1))) {
      tree_reduce(nodes, tree, out, stream);
      apply({0, out.dim(0)});
      return;
    }
    throw_failure();
    const auto values_or_null = [](const Tensor& x) { return x.empty() ? nullptr : x.data<float>(); };
    ipc_reduce_add_norm(
        view_, reduction,
        {.bias = values_or_null(then.bias),
         .norm = {then.gain.data<float>(), values_or_null(then.norm_bias), then.eps, static_cast<int>(out.dim(1))},
         .hidden = then.hidden.data<float>(),
         .normed = then.normed.data<float>()},
        static_cast<cuda::StreamHandle>(stream.native()));
  }

  void all_reduce(Tensor& x, Stream& stream) override {
    reduce(sum_of_ranks_, x.data<float>(), x, IpcFailure::kAllReduce, stream);
  }

  void all_gather(const Tensor& part, std::span<const int64_t> counts, Tensor& out, Stream& stream) override {
    if (part.dtype() != DType::kF32 && part.dtype() != DType::kI32) {
      staged_->all_gather(part, counts, out, stream);
      return;
    }
    throw_failure();
    IpcGather gather{.part = part.data<uint32_t>(), .out = out.data<uint32_t>()};
    std::inclusive_scan(counts.begin(), counts.end(), gather.first + 1);
    ipc_all_gather(view_, gather, static_cast<cuda::StreamHandle>(stream.native()));
  }
  void gather(const Tensor& part, std::span<const int64_t> counts, int root, Tensor& out, Stream& stream) override {
    staged_->gather(part, counts, root, out, stream);
  }
  void reduce_scatter(const Tensor& x, std::span<const int64_t> counts, Tensor& part, Stream& stream) override {
    staged_->reduce_scatter(x, counts, part, stream);
  }
  void broadcast(Tensor& x, int root, Stream& stream) override { staged_->broadcast(x, root, stream); }
  void send(const Tensor& x, int to, Stream& stream) override {
    IpcOutbox* outbox = outboxes_[static_cast<std::size_t>(to)].get();
    if (outbox == nullptr) {
      staged_->send(x, to, stream);
    } else if (!x.empty()) {
      throw_failure();
      outbox->send(x, static_cast<cuda::StreamHandle>(stream.native()));
    }
  }
  void recv(Tensor& x, int from, Stream& stream) override {
    IpcInbox* inbox = inboxes_[static_cast<std::size_t>(from)].get();
    if (inbox == nullptr) {
      staged_->recv(x, from, stream);
    } else if (!x.empty()) {
      throw_failure();
      inbox->recv(x, static_cast<cuda::StreamHandle>(stream.native()));
    }
  }

  void progress() override {
    throw_failure();
    staged_->progress();
  }

 private:
  uint32_t* failure_word() const { return static_cast<uint32_t*>(failure_.get()); }

  void reduce(const TreeProgram& tree, const float* nodes, Tensor& out, IpcFailure::Operation operation,
              Stream& stream) {
    throw_failure();
    ipc_reduce(
        view_,
        {.tree = tree, .nodes = nodes, .out = out.data<float>(), .count = out.elements(), .operation = operation},
        static_cast<cuda::StreamHandle>(stream.native()));
  }

  void check(std::chrono::nanoseconds /*waited*/) override { throw_failure(); }

  // What the kernels report. They end all the same, so that the device stays usable.
  void throw_failure() const {
    const uint32_t code = std::atomic_ref<uint32_t>(*failure_word()).load(std::memory_order_acquire);
    if (code == 0) {
      return;
    }
    const std::string operation = name_of(IpcFailure::operation(code));
    const std::string peer = "rank " + std::to_string(IpcFailure::peer(code)) + " of the group";
    throw Error(ErrorKind::kRank,
                operation + " with " + peer + ": nothing came for " + std::to_string(deadline_.count()) + " ms",
                "Check that " + peer + " still runs.");
  }

  static const char* name_of(IpcFailure::Operation operation) {
    switch (operation) {
      case IpcFailure::kTreeReduce:
        return "tree_reduce";
      case IpcFailure::kAllReduce:
        return "all_reduce";
      case IpcFailure::kSend:
        return "send";
      case IpcFailure::kRecv:
        return "recv";
      case IpcFailure::kAllGather:
        break;
    }
    return "all_gather";
  }

  std::unique_ptr<Communicator> staged_;
  std::shared_ptr<void> failure_;
  std::vector<std::unique_ptr<IpcOutbox>> outboxes_;  ///< By receiver; null for who is no neighbour.
  std::unique_ptr<IpcRegion> region_;
  std::vector<std::unique_ptr<IpcInbox>> inboxes_;  ///< By sender.
  TreeProgram sum_of_ranks_;
  std::chrono::milliseconds deadline_;
  IpcView view_;
};

}  // namespace

std::unique_ptr<Communicator> make_ipc_communicator(std::unique_ptr<Communicator>& staged,
                                                    std::chrono::milliseconds deadline, const GroupTraffic& most,
                                                    std::string& why) {
  if (staged->size() > IpcView::kMostRanks) {
    why = "the group has more than " + std::to_string(IpcView::kMostRanks) + " ranks";
    return nullptr;
  }
  std::unique_ptr<IpcRegion> region = IpcRegion::make(staged->host(), region_bytes(staged->size()), kZeroBytes, why);
  if (region == nullptr) {
    return nullptr;
  }
  return std::make_unique<IpcCommunicator>(std::move(staged), std::move(region), deadline, most);
}

int64_t ipc_group_bytes(int rank, int ranks, const GroupTraffic& most) {
  if (ranks > IpcView::kMostRanks) {
    return 0;
  }
  const std::size_t messages =
      rank + 1 < ranks ? IpcMailRoom::grown_bytes(static_cast<std::size_t>(most.message_bytes)) : 0;
  return static_cast<int64_t>(region_bytes(ranks) + messages);
}

}  // namespace longship
