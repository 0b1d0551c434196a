#include "launcher/recovery/job_diagnosis.h"

#include <gtest/gtest.h>

namespace longship {
namespace {

constexpr const char* kKilled =
    "--------------------------------------------------------------------------\n"
    "mpirun noticed that process rank 2 with PID 0 on node alpha exited on signal 9 (Killed).\n"
    "--------------------------------------------------------------------------\n";

constexpr const char* kExited =
    "mpirun detected that one or more processes exited with non-zero status, thus causing\n"
    "the job to be terminated. The first process to do so was:\n\n"
    "  Process name: [[59077,1],3]\n"
    "  Exit code:    7\n";

TEST(JobDiagnosis, NamesTheRankThatASignalEnded) {
  const Error error = diagnose({.output = kKilled, .exit_code = 137, .first_lost_rank = 1, .pids = {{2, 4711}}});
  EXPECT_EQ(error.kind(), ErrorKind::kRank);
  EXPECT_EQ(error.cause(), "rank 2 (process 4711) on alpha was ended by signal 9 (Killed)");
}

TEST(JobDiagnosis, ASilentRankCountsMoreThanHowItWasEnded) {
  const Error error =
      diagnose({.output = kKilled, .exit_code = 137, .first_lost_rank = {}, .silent_rank = 2, .pids = {{2, 4711}}});
  EXPECT_EQ(error.cause(), "rank 2 (process 4711) gave no sign of life any more and was ended");
}

TEST(JobDiagnosis, ASingleRankEndsAsItsProcess) {
  const auto diagnosis = [](int exit_code) {
    return diagnose({.ranks = 1, .output = {}, .exit_code = exit_code, .first_lost_rank = {}, .pids = {{0, 4711}}})
        .cause();
  };
  EXPECT_EQ(diagnosis(137), "rank 0 (process 4711) was ended by signal 9 (Killed)");
  EXPECT_EQ(diagnosis(1), "rank 0 (process 4711) ended early with exit code 1");
}

TEST(JobDiagnosis, ASentenceBrokenOverLinesIsFound) {
  const auto found =
      find_signalled_rank("mpirun noticed that process rank 11 with PID 5 on\nnode b exited on\nsignal 11");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->rank, 11);
  EXPECT_EQ(found->host, "b");
  EXPECT_EQ(found->signal, 11);
}

TEST(JobDiagnosis, ARanksOwnWordsCountMoreThanItsExitCode) {
  const std::string output = std::string("longship: error: rank 1: it broke\nTry again.\n") + kExited;
  const Error error = diagnose({.output = output, .exit_code = 4, .first_lost_rank = {}, .pids = {}});
  EXPECT_EQ(error.kind(), ErrorKind::kDoesNotFit);
  EXPECT_EQ(error.cause(), "rank 1: it broke");
  EXPECT_EQ(error.remedy(), "Try again.");
}

TEST(JobDiagnosis, AnExitCodeNamesTheRank) {
  const Error error = diagnose({.output = kExited, .exit_code = 7, .first_lost_rank = {}, .pids = {}});
  EXPECT_EQ(error.kind(), ErrorKind::kRank);
  EXPECT_EQ(error.cause(), "rank 3 ended early with exit code 7");
}

TEST(JobDiagnosis, TheFirstClosedConnectionIsALastResort) {
  const Error error = diagnose({.output = "", .exit_code = {}, .first_lost_rank = 3, .pids = {{3, 12}}});
  EXPECT_EQ(error.cause(), "rank 3 (process 12) was lost");
}

TEST(JobDiagnosis, WithoutARankMpirunsLastWordsAreShown) {
  const Error error = diagnose({.output = "no such\nhost", .exit_code = 1, .first_lost_rank = {}, .pids = {}});
  EXPECT_EQ(error.kind(), ErrorKind::kRank);
  EXPECT_NE(error.cause().find("no such host"), std::string::npos) << error.cause();
}

TEST(JobDiagnosis, OnlyAJobThatWasEndedFromOutsideLeavesItsMemorySound) {
  const auto signalled = [](const char* signal) {
    return "mpirun noticed that process rank 1 with PID 5 on node b exited on signal " + std::string(signal);
  };
  const auto outside = [](const std::string& output, int exit_code, std::optional<int> silent = {}) {
    return ended_from_outside(
        {.output = output, .exit_code = exit_code, .first_lost_rank = {}, .silent_rank = silent, .pids = {}});
  };
  EXPECT_TRUE(outside(signalled("9 (Killed)"), 137));
  EXPECT_TRUE(outside("", 137));
  EXPECT_TRUE(outside("", 1, 3));
  EXPECT_FALSE(outside(signalled("11 (Segmentation fault)"), 139));
  EXPECT_FALSE(outside(signalled("6 (Aborted)"), 137));
  EXPECT_FALSE(outside(kExited, 7));
  EXPECT_FALSE(outside("", 0));
}

}  // namespace
}  // namespace longship
