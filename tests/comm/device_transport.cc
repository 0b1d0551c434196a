#include "tests/comm/device_transport.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "tests/comm/device_memory.h"

namespace longship::conformance {

namespace {

// What was asked for, not what it may fall back to.
std::unique_ptr<Communicator> group_of(DeviceWire wire, std::unique_ptr<Communicator> host,
                                       std::chrono::milliseconds deadline) {
  const bool alone = host->size() == 1;
  NamedCommunicator made = make_device_group(wire, std::move(host), deadline);
  EXPECT_EQ(alone || device_wire_of(made.name) == wire, true) << made.name;
  return std::move(made.group);
}

class OverDevice final : public Communicator {
 public:
  explicit OverDevice(std::unique_ptr<Communicator> group) : group_(std::move(group)) {}

  int rank() const override { return group_->rank(); }
  int size() const override { return group_->size(); }
  std::string_view wire() const override { return group_->wire(); }

  void tree_reduce(const Tensor& nodes, const ReductionTree& tree, Tensor& out, Stream& /*stream*/) override {
    const Tensor device_nodes = copied(nodes);
    Tensor device_out = made(out.dtype(), out.shape());
    group_->tree_reduce(device_nodes, tree, device_out, stream_);
    to_host(device_out, out, stream_);
  }
  // Where the transport does it all in a kernel, the rows come from the device; else apply() has them.
  void tree_reduce_add_norm(const Tensor& nodes, const ReductionTree& tree, Tensor& out, const AddNorm& then,
                            const ApplyToRows& apply, Stream& /*stream*/) override {
    const Tensor device_nodes = copied(nodes);
    Tensor device_out = made(out.dtype(), out.shape());
    const auto copy_of = [&](const Tensor& x) { return x.empty() ? Tensor() : copied(x); };
    const AddNorm device_then{.bias = copy_of(then.bias),
                              .hidden = copy_of(then.hidden),
                              .gain = copy_of(then.gain),
                              .norm_bias = copy_of(then.norm_bias),
                              .eps = then.eps,
                              .normed = copy_of(then.normed)};
    bool applied = false;
    const ApplyToRows apply_on_host = [&](Range rows) {
      to_host(device_out, out, stream_);
      apply(rows);
      applied = true;
    };
    group_->tree_reduce_add_norm(device_nodes, tree, device_out, device_then, apply_on_host, stream_);
    if (!applied) {
      Tensor hidden = then.hidden;
      Tensor normed = then.normed;
      to_host(device_then.hidden, hidden, stream_);
      to_host(device_then.normed, normed, stream_);
    }
  }
  void all_reduce(Tensor& x, Stream& /*stream*/) override {
    Tensor device = copied(x);
    group_->all_reduce(device, stream_);
    to_host(device, x, stream_);
  }
  void all_gather(const Tensor& part, std::span<const int64_t> counts, Tensor& out, Stream& /*stream*/) override {
    Tensor device_out = made(out.dtype(), out.shape());
    group_->all_gather(copied(part), counts, device_out, stream_);
    to_host(device_out, out, stream_);
  }
  void gather(const Tensor& part, std::span<const int64_t> counts, int root, Tensor& out, Stream& /*stream*/) override {
    Tensor device_out = made(out.dtype(), out.shape());
    group_->gather(copied(part), counts, root, device_out, stream_);
    to_host(device_out, out, stream_);
  }
  void reduce_scatter(const Tensor& x, std::span<const int64_t> counts, Tensor& part, Stream& /*stream*/) override {
    Tensor device_part = made(part.dtype(), part.shape());
    group_->reduce_scatter(copied(x), counts, device_part, stream_);
    to_host(device_part, part, stream_);
  }
  void broadcast(Tensor& x, int root, Stream& /*stream*/) override {
    Tensor device = copied(x);
    group_->broadcast(device, root, stream_);
    to_host(device, x, stream_);
  }
  // What is sent may change once send() has returned, in the order of the stream: it is overwritten here.
  void send(const Tensor& x, int to, Stream& /*stream*/) override {
    constexpr int kNotANumber = 0xFF;
    const Tensor device = copied(x);
    group_->send(device, to, stream_);
    if (!device.empty()) {
      cuda::check(cuda::api().memset_async(device.data<void>(), kNotANumber, static_cast<std::size_t>(device.bytes()),
                                           stream_.handle()),
                  "a test");
    }
  }
  void recv(Tensor& x, int from, Stream& /*stream*/) override {
    Tensor device = made(x.dtype(), x.shape());
    group_->recv(device, from, stream_);
    to_host(device, x, stream_);
  }
  void progress() override { group_->progress(); }

 private:
  Tensor made(DType dtype, const Shape& shape) { return kept_.emplace_back(device_tensor(dtype, shape)); }
  Tensor copied(const Tensor& x) { return kept_.emplace_back(to_device(x, stream_)); }

  // To free memory waits until every message from here has gone, which the other rank may take only after one from
  // here.
  std::vector<Tensor> kept_;
  DeviceStream stream_;
  std::unique_ptr<Communicator> group_;
};

class OverDevices final : public Transport {
 public:
  OverDevices(Transport& inner, DeviceWire wire, std::chrono::milliseconds deadline)
      : inner_(inner), wire_(wire), deadline_(deadline) {}

  std::string_view name() const override { return inner_.name(); }
  int rank() const override { return inner_.rank(); }
  int size() const override { return inner_.size(); }
  std::vector<int> ranks_per_host() const override { return inner_.ranks_per_host(); }
  HostPlace host_place() const override { return inner_.host_place(); }
  std::unique_ptr<Transport> first(int count) override { return inner_.first(count); }
  ControlChannel& control() override { return inner_.control(); }
  void abort(int exit_code) override { inner_.abort(exit_code); }

  std::unique_ptr<Communicator> split(int color, int key) override {
    return std::make_unique<OverDevice>(group_of(wire_, inner_.split(color, key), deadline_));
  }

 private:
  Transport& inner_;
  DeviceWire wire_;
  std::chrono::milliseconds deadline_;
};

}  // namespace

std::unique_ptr<Transport> make_device_transport(Transport& inner, DeviceWire wire,
                                                 std::chrono::milliseconds deadline) {
  return std::make_unique<OverDevices>(inner, wire, deadline);
}

std::unique_ptr<Communicator> device_group(Transport& transport, DeviceWire wire, std::chrono::milliseconds deadline) {
  return group_of(wire, transport.split(0, transport.rank()), deadline);
}

}  // namespace longship::conformance
