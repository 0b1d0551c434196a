#include "comm/launched.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <string>

#include "comm/transport.h"

namespace longship {
namespace {

using Environment = std::map<std::string, std::string>;

/// Puts exactly these variables of launchers into the environment.
void set_launcher(const Environment& environment) {
  for (const char* name : {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "PMI_SIZE",
                           "SLURM_JOB_ID", "SLURM_NTASKS", "SLURM_PROCID", "SLURM_STEP_ID", "SLURM_STEP_NUM_TASKS"}) {
    unsetenv(name);
  }
  for (const auto& [name, value] : environment) {
    setenv(name.c_str(), value.c_str(), 1);
  }
}

const Environment kSrunTask = {{"SLURM_JOB_ID", "7"},
                               {"SLURM_NTASKS", "4"},
                               {"SLURM_PROCID", "0"},
                               {"SLURM_STEP_ID", "0"},
                               {"SLURM_STEP_NUM_TASKS", "4"}};

Environment with(Environment environment, const std::string& name, const std::string& value) {
  environment[name] = value;
  return environment;
}

TEST(Launched, ByMpirun) {
  set_launcher({{"OMPI_COMM_WORLD_RANK", "1"}, {"OMPI_COMM_WORLD_SIZE", "4"}, {"PMIX_RANK", "1"}});
  EXPECT_TRUE(launched_as_rank());
  EXPECT_FALSE(launched_without_pmi(true));
  EXPECT_EQ(ranks_of_launcher(), 4);
  set_launcher({{"PMI_RANK", "0"}, {"PMI_SIZE", "3"}});
  EXPECT_TRUE(launched_as_rank());
  EXPECT_EQ(ranks_of_launcher(), 3);
}

TEST(Launched, BySrun) {
  set_launcher(with(kSrunTask, "PMIX_RANK", "0"));
  EXPECT_TRUE(launched_as_rank());
  EXPECT_FALSE(launched_without_pmi(true));
  EXPECT_EQ(ranks_of_launcher(), 4);
}

TEST(Launched, BySrunWithAnOlderPmi) {
  set_launcher(with(with(kSrunTask, "PMI_RANK", "0"), "PMI_SIZE", "4"));
  EXPECT_TRUE(launched_without_pmi(true));
  EXPECT_FALSE(launched_without_pmi(false));
}

TEST(Launched, OneTaskOfAnOlderPmiIsNoRank) {
  set_launcher(with(with(with(kSrunTask, "SLURM_STEP_NUM_TASKS", "1"), "PMI_RANK", "0"), "PMI_SIZE", "1"));
  EXPECT_FALSE(launched_as_rank()) << "it runs alone, or starts its own ranks";
}

TEST(Launched, BySrunWithoutPmiIsAnErrorThatSaysHow) {
  set_launcher(kSrunTask);
  EXPECT_TRUE(launched_as_rank());
  EXPECT_TRUE(launched_without_pmi(true));
  try {
    make_mpi_transport();
    ADD_FAILURE() << "four tasks became four jobs";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kRank);
    EXPECT_NE(error.cause().find("4 processes"), std::string::npos) << error.cause();
    EXPECT_NE(error.remedy().find("srun --mpi=pmix"), std::string::npos) << error.remedy();
  }
}

TEST(Launched, ByNobodyInAShellOfAnAllocation) {
  set_launcher({});
  EXPECT_FALSE(launched_as_rank());
  EXPECT_EQ(ranks_of_launcher(), 1);
  set_launcher({{"SLURM_JOB_ID", "7"}, {"SLURM_NTASKS", "4"}});
  EXPECT_FALSE(launched_as_rank()) << "salloc";
  set_launcher({{"SLURM_JOB_ID", "7"}, {"SLURM_NTASKS", "4"}, {"SLURM_PROCID", "0"}});
  EXPECT_FALSE(launched_as_rank()) << "a batch script";
  set_launcher(with(kSrunTask, "SLURM_STEP_ID", "4294967290"));
  EXPECT_FALSE(launched_as_rank()) << "an interactive step";
  set_launcher(with(kSrunTask, "SLURM_STEP_NUM_TASKS", "1"));
  EXPECT_FALSE(launched_as_rank()) << "a shell that srun started";
  set_launcher(with(kSrunTask, "SLURM_STEP_ID", "what"));
  EXPECT_FALSE(launched_as_rank()) << "not a number";
}

}  // namespace
}  // namespace longship
