#include "launcher/recovery/kept_memory.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "engine/kv/kept_file.h"

namespace longship {
namespace {

constexpr int64_t kBytes = 100000;

KeptFiles files_of(const KeptMemory& memory, int rank) {
  const auto [name, value] = memory.variable();
  setenv(name.c_str(), value.c_str(), 1);
  return kept_files(rank);
}

TEST(KeptMemory, OutlivesTheProcessThatFillsIt) {
  const KeptMemory memory(2);
  for (const int rank : {0, 1}) {
    const KeptFiles files = files_of(memory, rank);
    const pid_t child = fork();
    if (child == 0) {
      const auto kept = KeptFile::open(files.keys_values, "keys", kBytes);
      if (!kept || kept->known()) _exit(1);
      kept->data()[kBytes - 1] = std::byte(40 + rank);
      abort();
    }
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status));
  }
  for (const int rank : {0, 1}) {
    const auto kept = KeptFile::open(files_of(memory, rank).keys_values, "keys", kBytes);
    ASSERT_TRUE(kept && kept->known());
    EXPECT_EQ(kept->data()[kBytes - 1], std::byte(40 + rank));
  }
  EXPECT_FALSE(KeptFile::open(files_of(memory, 0).pages, "pages", kBytes)->known()) << "nobody wrote to it";
}

TEST(KeptMemory, FilesOfAProcessOnAnotherHostAreNotTouched) {
  const KeptMemory memory(1);
  const KeptMemory other(1);
  const auto [name, value] = memory.variable();
  const auto [same, others] = other.variable();
  // The same process and files, but of another name.
  const std::size_t begin = value.find(' ') + 1;
  const std::string elsewhere = value.substr(0, begin) + "longship-1-2" + value.substr(value.find(' ', begin));
  setenv(name.c_str(), elsewhere.c_str(), 1);
  EXPECT_TRUE(kept_files(0).keys_values.empty());
  setenv(name.c_str(), others.c_str(), 1);
  EXPECT_FALSE(kept_files(0).keys_values.empty());
  EXPECT_TRUE(kept_files(1).keys_values.empty());
}

TEST(KeptMemory, UnderAnotherNameOrSizeItIsZeros) {
  const KeptMemory memory(1);
  const KeptFiles files = files_of(memory, 0);
  const auto fill = [&](const char* name, int64_t bytes) {
    const auto kept = KeptFile::open(files.keys_values, name, bytes);
    const bool known = kept->known();
    EXPECT_EQ(kept->data()[0], known ? std::byte(1) : std::byte(0)) << name;
    kept->data()[0] = std::byte(1);
    return known;
  };
  EXPECT_FALSE(fill("a", kBytes));
  EXPECT_TRUE(fill("a", kBytes));
  EXPECT_FALSE(fill("ab", kBytes));
  EXPECT_FALSE(fill("a", kBytes));
  EXPECT_FALSE(fill("a", kBytes / 2));
  EXPECT_TRUE(fill("a", kBytes / 2));
}

TEST(KeptMemory, NothingIsLeftInWhatWasDropped) {
  KeptMemory memory(1);
  KeptFile::open(files_of(memory, 0).keys_values, "keys", kBytes)->data()[0] = std::byte(1);
  memory.drop();
  const auto kept = KeptFile::open(files_of(memory, 0).keys_values, "keys", kBytes);
  EXPECT_FALSE(kept->known());
  EXPECT_EQ(kept->data()[0], std::byte(0));
}

TEST(KeptMemory, ARankThatFindsNoneKeepsNothing) {
  const KeptMemory memory(2);
  EXPECT_TRUE(files_of(memory, 2).keys_values.empty());
  EXPECT_TRUE(files_of(memory, -1).keys_values.empty());
  unsetenv(memory.variable().first.c_str());
  EXPECT_TRUE(kept_files(0).keys_values.empty());
  EXPECT_FALSE(KeptFile::open("/proc/self/fd/900", "keys", kBytes));
}

}  // namespace
}  // namespace longship
