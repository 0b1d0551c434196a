#include "tests/comm/conformance.h"
#include "tests/comm/device_transport.h"

// The suite over devices, which are emulated: every rank is a thread with streams of its own.

namespace longship::conformance {

namespace {

constexpr std::chrono::seconds kDeadline(60);

}  // namespace

std::vector<Job> jobs() {
  std::vector<Job> all;
  for (const std::string wire : {"ipc", "nccl"}) {
    for (const int ranks : {2, 3}) {
      const auto run = [ranks, wire](const Body& body) {
        const auto with_device = [&](Transport& host) {
          body(*make_device_transport(host, device_wire_of(wire), kDeadline));
        };
        run_thread_ranks(ranks, with_device, {.deadline = kDeadline});
      };
      all.push_back({wire + "_ranks_" + std::to_string(ranks), run});
    }
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(DeviceThreads, Conformance, testing::ValuesIn(jobs()),
                         [](const auto& job) { return job.param.name; });

}  // namespace longship::conformance
