#include <cstdlib>
#include <thread>

#include "comm/group_of_one.h"
#include "comm/transport.h"

namespace longship {

namespace {

class SelfControl final : public ControlChannel {
 public:
  void publish(Bytes /*frame*/) override {}
  std::optional<Bytes> receive(Deadline deadline) override {
    std::this_thread::sleep_until(deadline);
    return std::nullopt;
  }
  void tell(Bytes /*frame*/) override {}
  std::optional<Bytes> heard() override { return std::nullopt; }
  void agree(const Error* failure, std::string_view /*phase*/) override {
    if (failure != nullptr) {
      throw *failure;
    }
  }
};

class SelfTransport final : public Transport {
 public:
  std::string_view name() const override { return "self"; }
  int rank() const override { return 0; }
  int size() const override { return 1; }
  std::vector<int> ranks_per_host() const override { return {1}; }
  HostPlace host_place() const override { return {}; }
  std::unique_ptr<Communicator> split(int /*color*/, int /*key*/) override { return std::make_unique<GroupOfOne>(); }
  std::unique_ptr<Transport> first(int /*count*/) override { return std::make_unique<SelfTransport>(); }
  ControlChannel& control() override { return control_; }
  void abort(int exit_code) override { std::_Exit(exit_code); }

 private:
  SelfControl control_;
};

}  // namespace

std::unique_ptr<Transport> make_self_transport() {
  return std::make_unique<SelfTransport>();
}

}  // namespace longship
