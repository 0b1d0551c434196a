#include "tests/comm/conformance.h"

namespace longship::conformance {

std::vector<Job> jobs() {
  return {{"self", [](const Body& body) {
             const auto transport = make_self_transport();
             body(*transport);
           }}};
}

INSTANTIATE_TEST_SUITE_P(Self, Conformance, testing::ValuesIn(jobs()), [](const auto& job) { return job.param.name; });

}  // namespace longship::conformance
