#include "launcher/recovery/kept_weights.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "launcher/recovery/kept_memory.h"

namespace longship {
namespace {

// More than one huge page.
constexpr int64_t kBytes = 5'000'000;

KeptFiles files_of(const KeptMemory& memory) {
  const auto [name, value] = memory.variable();
  setenv(name.c_str(), value.c_str(), 1);
  return kept_files(0);
}

// A process fills weights and dies, before or after they are complete.
void die_with_weights(const KeptFiles& files, bool complete) {
  const pid_t child = fork();
  if (child == 0) {
    const auto weights = KeptWeights::open(files.weights, "facts", kBytes);
    if (!weights || weights->complete()) _exit(1);
    std::fill_n(weights->data(), kBytes, std::byte{7});
    if (complete) weights->publish();
    abort();
  }
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
}

TEST(KeptWeights, AreFoundByTheNextProcess) {
  const KeptMemory memory(1);
  const KeptFiles files = files_of(memory);
  die_with_weights(files, true);
  const auto weights = KeptWeights::open(files.weights, "facts", kBytes);
  ASSERT_TRUE(weights && weights->complete());
  EXPECT_EQ(std::count(weights->data(), weights->data() + kBytes, std::byte{7}), kBytes);
  EXPECT_FALSE(KeptWeights::open(files.draft_weights, "facts", kBytes)->complete()) << "nobody wrote to it";
}

TEST(KeptWeights, ThoseOfARankThatDiedWhileItPackedAreNot) {
  const KeptMemory memory(1);
  const KeptFiles files = files_of(memory);
  die_with_weights(files, false);
  EXPECT_FALSE(KeptWeights::open(files.weights, "facts", kBytes)->complete());
}

TEST(KeptWeights, OfOtherFactsOrSizeAreNot) {
  const KeptMemory memory(1);
  const KeptFiles files = files_of(memory);
  die_with_weights(files, true);
  EXPECT_FALSE(KeptWeights::open(files.weights, "other facts", kBytes)->complete());
  die_with_weights(files, true);
  EXPECT_FALSE(KeptWeights::open(files.weights, "facts", kBytes - 64)->complete());
}

TEST(KeptWeights, WithoutAFileThereAreNone) {
  EXPECT_EQ(KeptWeights::open("/nowhere/file", "facts", kBytes), nullptr);
}

}  // namespace
}  // namespace longship
