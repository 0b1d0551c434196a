#include <cstdio>
#include <cstdlib>
#include <exception>

#include "tests/comm/conformance.h"

// The suite under mpirun: every process is one rank and runs every test, in the same order. Its arguments are the wire
// and, where one host is to pass for several, the ranks of each.

namespace longship::conformance {

namespace {

Transport* the_transport = nullptr;

// Rank 0 reports as usual; the others print only what fails on them.
class FailurePrinter : public testing::EmptyTestEventListener {
 public:
  explicit FailurePrinter(int rank) : rank_(rank) {}

 private:
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (result.failed()) {
      std::fprintf(stderr, "rank %d: %s:%d: %s\n", rank_, result.file_name(), result.line_number(), result.message());
    }
  }

  int rank_;
};

// The first failure ends the job: a rank that left a test early would keep the others waiting in it.
int run_all_tests(Transport& transport) {
  the_transport = &transport;
  if (transport.rank() != 0) {
    auto& listeners = testing::UnitTest::GetInstance()->listeners();
    delete listeners.Release(listeners.default_result_printer());
    listeners.Append(new FailurePrinter(transport.rank()));
  }
  GTEST_FLAG_SET(fail_fast, true);
  const int result = RUN_ALL_TESTS();
  if (result != 0) {
    transport.abort(result);
  }
  return result;
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
                                                         .ranks_per_host = argc > 2 ? std::atoi(argv[2]) : 0});
    return longship::conformance::run_all_tests(*transport);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
