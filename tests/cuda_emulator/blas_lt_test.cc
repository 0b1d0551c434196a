#include <gtest/gtest.h>

#include "cuda/blas_api.h"

namespace longship::cuda {
namespace {

TEST(BlasLt, LoadsAndSaysWithoutADeviceThatThereIsNone) {
  std::string why;
  const BlasApi* blas = blas_api(why);
  ASSERT_NE(blas, nullptr) << why;
  EXPECT_EQ(blas->name.substr(0, 11), "cublasLt 13");
  BlasHandle handle = nullptr;
  const Status status = blas->create(&handle);
  if (status == kSuccess) {
    EXPECT_EQ(blas->destroy(handle), kSuccess);
  } else {
    EXPECT_STREQ(blas->error_string(status), "the library was not initialized");
  }
}

}  // namespace
}  // namespace longship::cuda
