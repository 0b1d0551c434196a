#include "launcher/options/settings_file.h"

#include <gtest/gtest.h>

#include <fstream>

#include "core/error.h"

namespace longship {
namespace {

namespace fs = std::filesystem;

class SettingsFile : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = fs::path(testing::TempDir()) /
            (std::string("settings_") + testing::UnitTest::GetInstance()->current_test_info()->name() + ".yaml");
  }
  void TearDown() override { fs::remove_all(path_); }

  std::vector<Setting> read(const std::string& text) const {
    std::ofstream(path_) << text;
    return read_settings(path_);
  }
  std::string refusal(const std::string& text) const {
    try {
      read(text);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      return error.cause();
    }
    ADD_FAILURE() << "accepted: " << text.substr(0, 100);
    return {};
  }

  fs::path path_;
};

TEST_F(SettingsFile, KeysAreOptionsAndListsRepeatThem) {
  const std::vector<Setting> settings =
      read("# a server\nmax_model_len: 4096\nexact: true\n\nserved-model-name: [a, \"b c\"]\nstop:\n  - x\n  - 'y'\n");
  ASSERT_EQ(settings.size(), 4U);
  EXPECT_EQ(settings[0].name, "max-model-len");
  EXPECT_EQ(settings[0].values, std::vector<std::string>{"4096"});
  EXPECT_EQ(settings[0].place, path_.native() + " line 2");
  EXPECT_EQ(settings[1].values, std::vector<std::string>{"true"});
  EXPECT_EQ(settings[2].values, (std::vector<std::string>{"a", "b c"}));
  EXPECT_EQ(settings[3].values, (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(settings[3].place, path_.native() + " line 6");
}

TEST_F(SettingsFile, AnEmptyFileSaysNothing) {
  EXPECT_TRUE(read("").empty());
  EXPECT_TRUE(read("# only a comment\n").empty());
}

TEST_F(SettingsFile, AnEmptyListSaysNothing) {
  EXPECT_TRUE(read("lora-modules: []\n").empty());
  const std::vector<Setting> settings = read("api-key: []\nport: 1\n");
  ASSERT_EQ(settings.size(), 1U);
  EXPECT_EQ(settings[0].name, "port");
  EXPECT_NE(refusal("port: []\nport: 2\n").find("line 2: port is there a second time"), std::string::npos);
}

TEST_F(SettingsFile, WhatIsWrongIsNamedWithItsLine) {
  EXPECT_NE(refusal("port: 1\nport: 2\n").find("line 2: port is there a second time"), std::string::npos);
  EXPECT_NE(refusal("a: 1\nserver:\n  port: 1\n").find("line 2: server: "), std::string::npos);
  EXPECT_NE(refusal("port:\n").find("line 1: port: "), std::string::npos);
  EXPECT_NE(refusal("a: 1\nb: [1, 2\n").find("line "), std::string::npos);
  EXPECT_NE(refusal("- a\n- b\n").find("not a mapping"), std::string::npos);
  EXPECT_NE(refusal("a: [[1]]\n").find("line 1: a: "), std::string::npos);
}

TEST_F(SettingsFile, SizeAndDepthHaveLimits) {
  EXPECT_NE(refusal(std::string(100000, '[')).find(path_.native()), std::string::npos);
  EXPECT_NE(refusal(std::string(std::size_t{2} << 20U, '#')).find("larger than 1 MiB"), std::string::npos);
  EXPECT_THROW(read_settings(path_.native() + ".missing"), Error);
  EXPECT_THROW(read_settings(path_.parent_path()), Error);
}

TEST_F(SettingsFile, AliasesDoNotGrow) {
  std::string text = "a: &a [x, x]\n";
  for (char c = 'b'; c < 'z'; ++c) {
    const std::string before(1, static_cast<char>(c - 1));
    text += std::string(1, c) + ": &" + c + " [*" + before + ", *" + before + "]\n";
  }
  EXPECT_NE(refusal(text).find("line 2: b: "), std::string::npos);
}

}  // namespace
}  // namespace longship
