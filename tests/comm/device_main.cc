#include <cstdio>
#include <exception>

#include "tests/comm/conformance.h"
#include "tests/comm/device_transport.h"
#include "tests/comm/rank_tests.h"

// The suite under mpirun over devices, which are emulated: every process is one rank. Its argument is the way between
// devices.

namespace longship::conformance {

namespace {

constexpr std::chrono::seconds kDeadline(60);

Transport* the_transport = nullptr;

int run_all_tests(const std::string& wire) {
  const auto host = make_mpi_transport({.deadline = kDeadline});
  const auto transport = make_device_transport(*host, device_wire_of(wire), kDeadline);
  the_transport = transport.get();
  return run_tests_as_rank(*transport);
}

}  // namespace

std::vector<Job> jobs() {
  return {{"devices", [](const Body& body) { body(*the_transport); }}};
}

INSTANTIATE_TEST_SUITE_P(Devices, Conformance, testing::ValuesIn(jobs()),
                         [](const auto& job) { return job.param.name; });

}  // namespace longship::conformance

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  try {
    return longship::conformance::run_all_tests(argc > 1 ? argv[1] : "");
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
