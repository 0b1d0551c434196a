#include "comm/cuda/device_alone.h"

#include <cstddef>
#include <utility>

#include "cuda/api.h"

namespace longship {

namespace {

class DeviceAlone final : public Communicator {
 public:
  explicit DeviceAlone(std::unique_ptr<Communicator> host) : host_(std::move(host)) {}

  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::string_view wire() const override { return "self"; }
  Communicator& host() override { return *host_; }
  void progress() override {}

  // The only rank holds the root.
  void tree_reduce(const Tensor& nodes, const ReductionTree& tree, Tensor& out, Stream& stream) override {
    LONGSHIP_CHECK(tree.ranks() == 1 && nodes.elements() == out.elements(), "one rank holds one node, the root");
    copy(nodes, out, stream);
  }
  void all_reduce(Tensor& /*x*/, Stream& /*stream*/) override {}
  void all_gather(const Tensor& part, std::span<const int64_t> /*counts*/, Tensor& out, Stream& stream) override {
    copy(part, out, stream);
  }
  void gather(const Tensor& part, std::span<const int64_t> /*counts*/, int /*root*/, Tensor& out,
              Stream& stream) override {
    copy(part, out, stream);
  }
  void reduce_scatter(const Tensor& x, std::span<const int64_t> /*counts*/, Tensor& part, Stream& stream) override {
    copy(x, part, stream);
  }
  void broadcast(Tensor& /*x*/, int /*root*/, Stream& /*stream*/) override {}
  void send(const Tensor& x, int to, Stream& stream) override { host_->send(x, to, stream); }
  void recv(Tensor& x, int from, Stream& stream) override { host_->recv(x, from, stream); }

 private:
  static void copy(const Tensor& from, Tensor& to, Stream& stream) {
    if (!from.empty() && from.data<void>() != to.data<void>()) {
      cuda::check(
          cuda::api().memcpy_async(to.data<void>(), from.data<void>(), static_cast<std::size_t>(from.bytes()),
                                   cuda::CopyKind::kDeviceToDevice, static_cast<cuda::StreamHandle>(stream.native())),
          "copying on the device");
    }
  }

  std::unique_ptr<Communicator> host_;
};

}  // namespace

std::unique_ptr<Communicator> make_device_alone(std::unique_ptr<Communicator> host) {
  return std::make_unique<DeviceAlone>(std::move(host));
}

}  // namespace longship
