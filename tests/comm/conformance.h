#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "comm/transport.h"

namespace longship::conformance {

/// What one rank of a job does.
using Body = std::function<void(Transport&)>;

/// A way to run a body as every rank of a job of some size.
struct Job {
  std::string name;  ///< Letters, digits and underscores.
  std::function<void(const Body&)> run;
};

inline std::ostream& operator<<(std::ostream& out, const Job& job) {
  return out << job.name;
}

/// The jobs that this binary puts through the suite. Each transport's main file defines it; to test a new
/// transport, write that file and link it with the suite.
std::vector<Job> jobs();

/// The suite: every transport keeps the contract of comm/*.h at every number of ranks.
class Conformance : public testing::TestWithParam<Job> {
 protected:
  void run(const Body& body) const { GetParam().run(body); }
};

}  // namespace longship::conformance
