#pragma once

#include "comm/transport.h"

namespace longship::conformance {

/// Runs all tests of the binary as one rank of a job whose other ranks run them too, in the same order. Rank 0 reports
/// as usual; the others print only what fails on them. The first failure ends the job: a rank that left a test early
/// would keep the others waiting in it. Returns the exit code.
int run_tests_as_rank(Transport& transport);

}  // namespace longship::conformance
