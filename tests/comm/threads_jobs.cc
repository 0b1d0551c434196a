#include "tests/comm/conformance.h"

namespace longship::conformance {

std::vector<Job> jobs() {
  std::vector<Job> all;
  for (const int ranks : {1, 2, 3, 4, 7}) {
    all.push_back({"ranks_" + std::to_string(ranks), [ranks](const Body& body) {
                     run_thread_ranks(ranks, body, {.deadline = std::chrono::seconds(60)});
                   }});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Threads, Conformance, testing::ValuesIn(jobs()),
                         [](const auto& job) { return job.param.name; });

}  // namespace longship::conformance
