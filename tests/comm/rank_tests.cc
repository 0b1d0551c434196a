#include "tests/comm/rank_tests.h"

#include <gtest/gtest.h>

#include <cstdio>

namespace longship::conformance {

namespace {

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

}  // namespace

int run_tests_as_rank(Transport& transport) {
  if (!transport.leads()) {
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

}  // namespace longship::conformance
