#include "comm/cuda/host_staged.h"

#include <cstddef>
#include <utility>

#include "cuda/api.h"
#include "cuda/memory.h"
#include "cuda/watch.h"

namespace longship {

namespace {

/// Pinned memory that grows as needed.
class Pinned {
 public:
  Tensor tensor(DType dtype, const Shape& shape) {
    const auto bytes = static_cast<std::size_t>(bytes_of(dtype, element_count(shape)));
    if (bytes > bytes_) {
      memory_ = nullptr;
      memory_ = cuda::allocate_pinned(bytes);
      bytes_ = bytes;
    }
    return Tensor::wrap(dtype, shape, memory_.get());
  }

 private:
  std::shared_ptr<void> memory_;
  std::size_t bytes_ = 0;
};

class HostStaged final : public Communicator {
 public:
  explicit HostStaged(std::unique_ptr<Communicator> host) : host_(std::move(host)) {}

  int rank() const override { return host_->rank(); }
  int size() const override { return host_->size(); }
  std::string_view wire() const override { return "host"; }
  Communicator& host() override { return *host_; }
  void progress() override { host_->progress(); }

  void tree_reduce(const Tensor& nodes, const ReductionTree& tree, Tensor& out, Stream& stream) override {
    const Tensor staged = fetch(nodes, stream);
    Tensor root = outputs_.tensor(out.dtype(), out.shape());
    host_->tree_reduce(staged, tree, root, cpu_);
    store(root, out, stream);
  }
  void all_reduce(Tensor& x, Stream& stream) override {
    Tensor staged = fetch(x, stream);
    host_->all_reduce(staged, cpu_);
    store(staged, x, stream);
  }
  void all_gather(const Tensor& part, std::span<const int64_t> counts, Tensor& out, Stream& stream) override {
    const Tensor staged = fetch(part, stream);
    Tensor all = outputs_.tensor(out.dtype(), out.shape());
    host_->all_gather(staged, counts, all, cpu_);
    store(all, out, stream);
  }
  void gather(const Tensor& part, std::span<const int64_t> counts, int root, Tensor& out, Stream& stream) override {
    const bool receives = rank() == root;
    const Tensor staged = fetch(part, stream);
    Tensor all = receives ? outputs_.tensor(out.dtype(), out.shape()) : Tensor();
    host_->gather(staged, counts, root, all, cpu_);
    if (receives) {
      store(all, out, stream);
    }
  }
  void reduce_scatter(const Tensor& x, std::span<const int64_t> counts, Tensor& part, Stream& stream) override {
    const Tensor staged = fetch(x, stream);
    Tensor sum = outputs_.tensor(part.dtype(), part.shape());
    host_->reduce_scatter(staged, counts, sum, cpu_);
    store(sum, part, stream);
  }
  void broadcast(Tensor& x, int root, Stream& stream) override {
    const bool sends = rank() == root;
    Tensor staged = sends ? fetch(x, stream) : outputs_.tensor(x.dtype(), x.shape());
    host_->broadcast(staged, root, cpu_);
    if (!sends) {
      store(staged, x, stream);
    }
  }
  void send(const Tensor& x, int to, Stream& stream) override { host_->send(fetch(x, stream), to, cpu_); }
  void recv(Tensor& x, int from, Stream& stream) override {
    Tensor staged = outputs_.tensor(x.dtype(), x.shape());
    host_->recv(staged, from, cpu_);
    store(staged, x, stream);
  }

 private:
  Tensor fetch(const Tensor& x, Stream& stream) {
    Tensor staged = inputs_.tensor(x.dtype(), x.shape());
    copy(x, staged, cuda::CopyKind::kDeviceToHost, stream);
    return staged;
  }
  static void store(const Tensor& staged, Tensor& x, Stream& stream) {
    copy(staged, x, cuda::CopyKind::kHostToDevice, stream);
  }
  // Returns when it is done: the staged memory is used again.
  static void copy(const Tensor& from, Tensor& to, cuda::CopyKind kind, Stream& stream) {
    if (from.empty()) {
      return;
    }
    const auto handle = static_cast<cuda::StreamHandle>(stream.native());
    cuda::check(cuda::api().memcpy_async(to.data<void>(), from.data<void>(), static_cast<std::size_t>(from.bytes()),
                                         kind, handle),
                "copying between ranks");
    cuda::wait(handle);
  }

  std::unique_ptr<Communicator> host_;
  Stream cpu_;
  Pinned inputs_;
  Pinned outputs_;
};

}  // namespace

std::unique_ptr<Communicator> make_host_staged(std::unique_ptr<Communicator> host) {
  return std::make_unique<HostStaged>(std::move(host));
}

}  // namespace longship
