#include "launcher/host/host_cores.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

namespace longship {
namespace {

namespace fs = std::filesystem;

// A root folder with files of the kernel's making.
class HostCores : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::path(testing::TempDir()) /
            ("host_cores_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(root_);
  }
  void TearDown() override { fs::remove_all(root_); }

  void write(const std::string& path, const std::string& text) const {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }

  fs::path root_;
};

TEST_F(HostCores, NoGroupIsNoLimit) {
  EXPECT_EQ(cgroup_cpu_quota(root_), std::nullopt);
}

TEST_F(HostCores, VersionTwoTakesTheLeastOfAllLevels) {
  write("proc/self/cgroup", "0::/slice/job\n");
  write("sys/fs/cgroup/slice/cpu.max", "150000 100000\n");
  write("sys/fs/cgroup/slice/job/cpu.max", "max 100000\n");
  EXPECT_EQ(cgroup_cpu_quota(root_), 1.5);
  write("sys/fs/cgroup/slice/job/cpu.max", "50000 100000\n");
  EXPECT_EQ(cgroup_cpu_quota(root_), 0.5);
}

TEST_F(HostCores, InAContainerTheMountIsTheGroup) {
  write("proc/self/cgroup", "0::/not/visible/here\n");
  write("sys/fs/cgroup/cpu.max", "300000 100000\n");
  EXPECT_EQ(cgroup_cpu_quota(root_), 3.0);
}

TEST_F(HostCores, VersionOneLooksAtTheCpuController) {
  write("proc/self/cgroup", "4:memory:/a\n3:cpu,cpuacct:/a\n");
  write("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "250000\n");
  write("sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(cgroup_cpu_quota(root_), 2.5);
  write("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "-1\n");
  EXPECT_EQ(cgroup_cpu_quota(root_), std::nullopt);
}

TEST(HostThreads, CoresAreSharedByTheRanks) {
  EXPECT_EQ(threads_per_rank(8, 2), 4);
  EXPECT_EQ(threads_per_rank(2, 4), 1);
  EXPECT_EQ(threads_per_rank(7, 2), 3);
  EXPECT_GE(allowed_cores(), 1);
}

}  // namespace
}  // namespace longship
