#include <cstdio>
#include <cstdlib>
#include <exception>

#include "tests/comm/conformance.h"
#include "tests/comm/rank_tests.h"

// The suite under mpirun: every process is one rank and runs every test, in the same order. Its arguments are the wire,
// the ranks of each host where one host is to pass for several, else 0, and "copies" where ranks may not read each
// other's memory.

namespace longship::conformance {

namespace {

Transport* the_transport = nullptr;

int run_all_tests(Transport& transport) {
  the_transport = &transport;
  return run_tests_as_rank(transport);
}

}  // namespace

std::vector<Job> jobs() {
  return {{"mpi", [](const Body& body) { body(*the_transport); }}};
}

INSTANTIATE_TEST_SUITE_P(Mpi, Conformance, testing::ValuesIn(jobs()), [](const auto& job) { return job.param.name; });

}  // namespace longship::conformance

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  try {
    const auto transport = longship::make_mpi_transport({.deadline = std::chrono::seconds(60),
                                                         .wire = longship::wire_of(argc > 1 ? argv[1] : "auto"),
                                                         .ranks_per_host = argc > 2 ? std::atoi(argv[2]) : 0,
                                                         .reads_peers = argc <= 3});
    return longship::conformance::run_all_tests(*transport);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
