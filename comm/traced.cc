#include "comm/traced.h"

namespace longship {

namespace {

class TracedCommunicator : public Communicator {
 public:
  TracedCommunicator(std::unique_ptr<Communicator> inner, SpanLog& log) : inner_(std::move(inner)), log_(log) {}

  int rank() const override { return inner_->rank(); }
  int size() const override { return inner_->size(); }
  std::string_view wire() const override { return inner_->wire(); }
  bool is_recordable(const ReductionTree& tree) const override { return inner_->is_recordable(tree); }
  bool gathers_recordably() const override { return inner_->gathers_recordably(); }
  bool sends_on_device() const override { return inner_->sends_on_device(); }

  void tree_reduce(const Tensor& nodes, const ReductionTree& tree, Tensor& out, Stream& stream) override {
    const ScopedSpan span(&log_, "tree_reduce", SpanKind::kCollective, out.bytes());
    inner_->tree_reduce(nodes, tree, out, stream);
  }
  // What is done with rows in between has spans of its own.
  void tree_reduce_add_norm(const Tensor& nodes, const ReductionTree& tree, Tensor& out, const AddNorm& then,
                            const ApplyToRows& apply, Stream& stream) override {
    Span span{"tree_reduce", SpanKind::kCollective, now_ns(), 0, out.bytes()};
    int64_t applied_ns = 0;
    const ApplyToRows timed = [&](Range rows) {
      const int64_t begin_ns = now_ns();
      apply(rows);
      applied_ns += now_ns() - begin_ns;
    };
    inner_->tree_reduce_add_norm(nodes, tree, out, then, timed, stream);
    span.end_ns = now_ns() - applied_ns;
    log_.add(span);
  }
  void all_reduce(Tensor& x, Stream& stream) override {
    const ScopedSpan span(&log_, "all_reduce", SpanKind::kCollective, x.bytes());
    inner_->all_reduce(x, stream);
  }
  void all_gather(const Tensor& part, std::span<const int64_t> counts, Tensor& out, Stream& stream) override {
    const ScopedSpan span(&log_, "all_gather", SpanKind::kCollective, out.bytes());
    inner_->all_gather(part, counts, out, stream);
  }
  void gather(const Tensor& part, std::span<const int64_t> counts, int root, Tensor& out, Stream& stream) override {
    const ScopedSpan span(&log_, "gather", SpanKind::kCollective, part.bytes());
    inner_->gather(part, counts, root, out, stream);
  }
  void reduce_scatter(const Tensor& x, std::span<const int64_t> counts, Tensor& part, Stream& stream) override {
    const ScopedSpan span(&log_, "reduce_scatter", SpanKind::kCollective, x.bytes());
    inner_->reduce_scatter(x, counts, part, stream);
  }
  void broadcast(Tensor& x, int root, Stream& stream) override {
    const ScopedSpan span(&log_, "broadcast", SpanKind::kCollective, x.bytes());
    inner_->broadcast(x, root, stream);
  }
  void send(const Tensor& x, int to, Stream& stream) override {
    const ScopedSpan span(&log_, "send", SpanKind::kSend, x.bytes());
    inner_->send(x, to, stream);
  }
  void recv(Tensor& x, int from, Stream& stream) override {
    const ScopedSpan span(&log_, "recv", SpanKind::kReceive, x.bytes());
    inner_->recv(x, from, stream);
  }
  void progress() override { inner_->progress(); }
  Communicator& host() override {
    Communicator& host = inner_->host();
    return &host == inner_.get() ? *this : host;
  }

 private:
  std::unique_ptr<Communicator> inner_;
  SpanLog& log_;
};

}  // namespace

std::unique_ptr<Communicator> make_traced(std::unique_ptr<Communicator> inner, SpanLog& log) {
  if (inner->size() == 1) {
    return inner;
  }
  return std::make_unique<TracedCommunicator>(std::move(inner), log);
}

}  // namespace longship
