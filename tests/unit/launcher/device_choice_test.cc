#include "launcher/device_choice.h"

#include <gtest/gtest.h>

#include <fstream>

namespace longship {
namespace {

constexpr int64_t kGiB = int64_t{1} << 30;

TEST(KvBudget, OfAHostIsDividedAmongItsRanks) {
  EngineOptions options;
  EXPECT_EQ(KvBudget::of_host(options, 8 * kGiB, 4).bytes, 2 * kGiB);
  EXPECT_EQ(KvBudget::of_host(options, 8 * kGiB, 4).kv_part, 0.0);
  options.fill_kv_cache = true;
  EXPECT_EQ(KvBudget::of_host(options, 8 * kGiB, 4).kv_part, 0.4);
  options.kv_cache_fraction = 0.25;
  EXPECT_EQ(KvBudget::of_host(options, 8 * kGiB, 4).kv_part, 0.25);
}

TEST(KvBudget, OfADeviceLeavesWhatOthersUseAndAMargin) {
  EngineOptions options;
  options.kv_cache_fraction = 0.5;
  const KvBudget alone = KvBudget::of_device(options, {.free_bytes = 70 * kGiB, .total_bytes = 80 * kGiB}, 1);
  EXPECT_EQ(alone.bytes, 30 * kGiB);
  EXPECT_EQ(alone.kv_part, 1.0);
  EXPECT_EQ(KvBudget::of_device(options, {.free_bytes = 70 * kGiB, .total_bytes = 80 * kGiB}, 3).bytes, 10 * kGiB);
  EXPECT_EQ(KvBudget::of_device(options, {.free_bytes = 10 * kGiB, .total_bytes = 80 * kGiB}, 1).bytes, 0);
  options.kv_cache_fraction = 0;
  const KvBudget usual = KvBudget::of_device(options, {.free_bytes = 80 * kGiB, .total_bytes = 80 * kGiB}, 1);
  EXPECT_EQ(usual.bytes, 72 * kGiB);
  EXPECT_EQ(usual.kv_part, 0.0);
  options.fill_kv_cache = true;
  EXPECT_EQ(KvBudget::of_device(options, {.free_bytes = 80 * kGiB, .total_bytes = 80 * kGiB}, 1).kv_part, 1.0);
}

// A folder of plug-ins for one test.
class Plugins : public ::testing::Test {
 protected:
  void SetUp() override {
    // Of a name that no other test has: a library that was loaded from there stays.
    const std::string test = ::testing::UnitTest::GetInstance()->current_test_info()->name();
    folder_ = std::filesystem::path(::testing::TempDir()) / (test + std::to_string(getpid()));
    std::filesystem::create_directory(folder_);
    setenv("LONGSHIP_PLUGIN_DIR", folder_.c_str(), 1);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // What stands in the way of --device cuda.
  static std::string complaint() {
    EngineOptions options;
    options.device = "cuda";
    try {
      const DeviceChoice choice(options, CommonMeans{}, {});
      return "none";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      EXPECT_FALSE(error.remedy().empty());
      return error.cause();
    }
  }

  std::filesystem::path folder_;
};

TEST_F(Plugins, AMissingOneIsNamed) {
  std::string why;
  EXPECT_FALSE(has_cuda_device(why));
  EXPECT_EQ(why, complaint());
  EXPECT_NE(why.find((folder_ / "liblongship_cuda.so").native()), std::string::npos) << why;
}

TEST_F(Plugins, OneThatIsNoLibraryIsRefused) {
  std::ofstream(folder_ / "liblongship_cuda.so") << "no library";
  EXPECT_NE(complaint().find("cannot be loaded"), std::string::npos) << complaint();
  std::string why;
  EXPECT_FALSE(has_cuda_device(why));
}

// The emulator is never taken for a GPU.
TEST_F(Plugins, TheEmulatorsUnderAnotherNameIsRefused) {
  std::filesystem::copy(LONGSHIP_EMULATED_PLUGIN, folder_ / "liblongship_cuda.so");
  EXPECT_NE(complaint().find("is for --device cuda-emulated"), std::string::npos) << complaint();
  std::string why;
  EXPECT_FALSE(has_cuda_device(why));
}

TEST_F(Plugins, OneOfAnotherBuildIsRefused) {
  std::filesystem::copy(LONGSHIP_FOREIGN_PLUGIN, folder_ / "liblongship_cuda.so");
  EXPECT_NE(complaint().find("another build"), std::string::npos) << complaint();
}

TEST_F(Plugins, CpusNeedNone) {
  EngineOptions options;
  for (const char* device : {"cpu", "auto"}) {
    options.device = device;
    const DeviceChoice choice(options, CommonMeans{}, {});
    EXPECT_TRUE(choice.is_cpu());
    EXPECT_TRUE(choice.make_kernels()->in_host_memory());
  }
}

TEST(DeviceChoice, RefusesWhatOnlyTheOtherKindOfDeviceHas) {
  EngineOptions options;
  options.comm = "nccl";
  EXPECT_THROW(DeviceChoice::for_plan(options, false), Error);
  options.device = "cuda";
  options.comm = "auto";
  options.pack_cache = "/tmp";
  EXPECT_THROW(DeviceChoice::for_plan(options, false), Error);
}

}  // namespace
}  // namespace longship
