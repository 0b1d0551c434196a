#include <dlfcn.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "comm/cuda/nccl_api.h"
#include "comm/cuda/nccl_comm.h"
#include "core/error.h"

// NVIDIA's own library, on every machine that has it: none of this needs a device.

namespace longship {
namespace {

using std::chrono::seconds;

class NcclLibrary : public testing::Test {
 protected:
  void SetUp() override {
    api_ = find_nccl(why_);
    if (api_ == nullptr) {
      GTEST_SKIP() << why_;
    }
  }

  std::string why_;
  const NcclApi* api_ = nullptr;
};

bool has_driver() {
  void* driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  return driver != nullptr;
}

TEST_F(NcclLibrary, TellsItsVersion) {
  int version = 0;
  ASSERT_EQ(api_->get_version(&version), NcclResult::kSuccess);
  EXPECT_GE(version, 21800) << "non-blocking communicators and splits";
  EXPECT_NE(api_->comm_split, nullptr);
  EXPECT_LT(version, 40000);
}

TEST_F(NcclLibrary, MakesIdsThatDiffer) {
  const NcclUniqueId one = new_nccl_id(*api_);
  const NcclUniqueId other = new_nccl_id(*api_);
  EXPECT_FALSE(std::ranges::equal(one.bytes, other.bytes));
}

TEST_F(NcclLibrary, ExplainsItsErrors) {
  EXPECT_STRNE(api_->get_error_string(NcclResult::kInvalidUsage), api_->get_error_string(NcclResult::kRemoteError));
}

TEST_F(NcclLibrary, WithoutADeviceAGroupFailsAtOnceAndSaysWhy) {
  if (has_driver()) {
    GTEST_SKIP() << "this machine has a driver, and so may have a device";
  }
  const auto start = std::chrono::steady_clock::now();
  try {
    const NcclComm comm(*api_, new_nccl_id(*api_), 0, 2, seconds(30));
    ADD_FAILURE() << "a group of two came about on one rank without a device";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kRank);
    EXPECT_NE(error.cause().find("meeting over NCCL"), std::string::npos) << error.cause();
    EXPECT_NE(error.cause().find("cuda"), std::string::npos) << error.cause();
    EXPECT_FALSE(error.remedy().empty());
  }
  EXPECT_LT(std::chrono::steady_clock::now() - start, seconds(10));
}

TEST(NcclLibraryDeathTest, SaysWhatWasNotFound) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // A process of its own, which has not looked for it before.
  EXPECT_EXIT(
      {
        setenv("LONGSHIP_NCCL_LIBRARY", "/nowhere/libnccl.so.2", 1);
        std::string why;
        const bool found = find_nccl(why) != nullptr;
        std::fprintf(stderr, "%s\n", why.c_str());
        std::exit(found ? 1 : 7);
      },
      testing::ExitedWithCode(7), "NCCL was not found: /nowhere/libnccl.so.2");
}

}  // namespace
}  // namespace longship
