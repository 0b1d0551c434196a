#include "engine/weights/pack_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <fstream>

#include "core/error.h"

namespace longship {
namespace {

namespace fs = std::filesystem;

class PackFileTest : public testing::Test {
 protected:
  PackFileTest() : folder_(fs::path(testing::TempDir()) / ("pack" + std::to_string(getpid()))) {}
  ~PackFileTest() override { fs::remove_all(folder_); }

  void keep(const PackIdentity& identity, char value) const {
    PackFile file = PackFile::create(folder_, identity, kBytes);
    std::memset(file.data(), value, kBytes);
    file.publish();
  }
  std::vector<fs::path> files() const {
    std::vector<fs::path> paths;
    for (const auto& entry : fs::directory_iterator(folder_)) {
      paths.push_back(entry.path());
    }
    return paths;
  }

  static constexpr int64_t kBytes = 100000;
  fs::path folder_;
  PackIdentity identity_{"model.tp0of1", "a model\nof some size\n"};
};

TEST_F(PackFileTest, FindsWhatWasPublished) {
  EXPECT_FALSE(PackFile::open(folder_, identity_, kBytes));
  keep(identity_, 7);
  const auto found = PackFile::open(folder_, identity_, kBytes);
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->complete());
  EXPECT_EQ(found->data()[0], std::byte{7});
  EXPECT_EQ(found->data()[kBytes - 1], std::byte{7});
}

TEST_F(PackFileTest, DeletesWhatWasNotPublished) {
  {
    const PackFile file = PackFile::open_or_create(folder_, identity_, kBytes);
    EXPECT_FALSE(file.complete());
    EXPECT_EQ(files().size(), 1U);
  }
  EXPECT_TRUE(files().empty());
}

TEST_F(PackFileTest, ReplacesWhatAnotherCheckpointLeft) {
  keep(identity_, 1);
  const PackIdentity changed{identity_.name, "a model\nof another size\n"};
  EXPECT_FALSE(PackFile::open(folder_, changed, kBytes));
  const PackIdentity neighbour{"model.tp0of10", "a model\n"};
  keep(neighbour, 2);
  keep(changed, 3);
  EXPECT_EQ(files().size(), 2U);
  EXPECT_FALSE(PackFile::open(folder_, identity_, kBytes));
  EXPECT_TRUE(PackFile::open(folder_, neighbour, kBytes));
  EXPECT_TRUE(PackFile::open(folder_, changed, kBytes));
}

TEST_F(PackFileTest, RefusesWhatIsDamaged) {
  keep(identity_, 1);
  EXPECT_FALSE(PackFile::open(folder_, identity_, kBytes - 64));
  const fs::path path = files().front();
  std::fstream(path, std::ios::in | std::ios::out).write("Longship", 8);
  EXPECT_FALSE(PackFile::open(folder_, identity_, kBytes));
  keep(identity_, 1);
  EXPECT_TRUE(PackFile::open(folder_, identity_, kBytes));
  fs::resize_file(path, 4096);
  EXPECT_FALSE(PackFile::open(folder_, identity_, kBytes));
}

TEST_F(PackFileTest, TellsLongFactsApart) {
  const std::string many(200000, 'x');
  keep({identity_.name, many}, 1);
  EXPECT_TRUE(PackFile::open(folder_, {identity_.name, many}, kBytes));
  EXPECT_FALSE(PackFile::open(folder_, {identity_.name, many + "y"}, kBytes));
}

TEST_F(PackFileTest, SaysWhyItCannotKeepThem) {
  EXPECT_THROW(PackFile::create("/proc/nowhere", identity_, kBytes), Error);
  fs::create_directories(folder_);
  EXPECT_THROW(PackFile::create(folder_, identity_, int64_t{1} << 55), Error);
  EXPECT_TRUE(files().empty());
}

TEST_F(PackFileTest, KnowsAChangedCheckpoint) {
  fs::create_directories(folder_);
  const auto write = [&](const char* text) { std::ofstream(folder_ / "a.bin") << text; };
  write("12");
  const std::string before = checkpoint_facts(folder_);
  EXPECT_EQ(checkpoint_facts(folder_), before);
  EXPECT_NE(checkpoint_facts(folder_ / "a.bin"), "");
  write("123");
  EXPECT_NE(checkpoint_facts(folder_), before);
}

}  // namespace
}  // namespace longship
