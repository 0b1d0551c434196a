#include "launcher/host/host_memory.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

namespace longship {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMiB = int64_t{1} << 20U;

// A root folder with files of the kernel's making: 1000 MiB are available.
class HostMemory : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::path(testing::TempDir()) /
            ("host_memory_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    fs::remove_all(root_);
    write("proc/meminfo", "MemTotal:        4096000 kB\nMemFree:          512000 kB\nMemAvailable:    1024000 kB\n");
  }
  void TearDown() override { fs::remove_all(root_); }

  void write(const std::string& path, const std::string& text) const {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  void write_bytes(const std::string& path, int64_t bytes) const { write(path, std::to_string(bytes) + "\n"); }

  fs::path root_;
};

TEST_F(HostMemory, TheKernelsNumberWithoutGroups) {
  EXPECT_EQ(available_memory_bytes(root_), 1000 * kMiB);
}

TEST_F(HostMemory, VersionTwoTakesTheLeastOfAllLevels) {
  write("proc/self/cgroup", "0::/slice/job\n");
  write_bytes("sys/fs/cgroup/slice/memory.max", 800 * kMiB);
  write_bytes("sys/fs/cgroup/slice/memory.current", 300 * kMiB);
  write("sys/fs/cgroup/slice/job/memory.max", "max\n");
  write_bytes("sys/fs/cgroup/slice/job/memory.current", 100 * kMiB);
  EXPECT_EQ(available_memory_bytes(root_), 500 * kMiB);
  write_bytes("sys/fs/cgroup/slice/job/memory.max", 250 * kMiB);
  EXPECT_EQ(available_memory_bytes(root_), 150 * kMiB);
}

TEST_F(HostMemory, InsideAContainerTheMountPointIsTheGroup) {
  write("proc/self/cgroup", "0::/\n");
  write_bytes("sys/fs/cgroup/memory.max", 400 * kMiB);
  write_bytes("sys/fs/cgroup/memory.current", 100 * kMiB);
  EXPECT_EQ(available_memory_bytes(root_), 300 * kMiB);
}

TEST_F(HostMemory, IdleFileCacheIsFree) {
  write("proc/self/cgroup", "0::/\n");
  write_bytes("sys/fs/cgroup/memory.max", 400 * kMiB);
  write_bytes("sys/fs/cgroup/memory.current", 350 * kMiB);
  write("sys/fs/cgroup/memory.stat", "anon 1\nfile 2\ninactive_file " + std::to_string(200 * kMiB) + "\n");
  EXPECT_EQ(available_memory_bytes(root_), 250 * kMiB);
}

TEST_F(HostMemory, VersionOne) {
  write("proc/self/cgroup", "5:cpu,cpuacct:/box\n4:memory:/box\n");
  write_bytes("sys/fs/cgroup/memory/memory.limit_in_bytes", int64_t{9223372036854771712});
  write_bytes("sys/fs/cgroup/memory/memory.usage_in_bytes", 3000 * kMiB);
  write_bytes("sys/fs/cgroup/memory/box/memory.limit_in_bytes", 600 * kMiB);
  write_bytes("sys/fs/cgroup/memory/box/memory.usage_in_bytes", 500 * kMiB);
  write("sys/fs/cgroup/memory/box/memory.stat", "inactive_file 1\ntotal_inactive_file " + std::to_string(50 * kMiB));
  EXPECT_EQ(available_memory_bytes(root_), 150 * kMiB);
}

TEST_F(HostMemory, AFullGroupHasNothingLeft) {
  write("proc/self/cgroup", "0::/\n");
  write_bytes("sys/fs/cgroup/memory.max", 100 * kMiB);
  write_bytes("sys/fs/cgroup/memory.current", 120 * kMiB);
  EXPECT_EQ(available_memory_bytes(root_), 0);
}

}  // namespace
}  // namespace longship
