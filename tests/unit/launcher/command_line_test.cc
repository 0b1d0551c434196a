#include "launcher/options/command_line.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace longship {
namespace {

using Words = std::vector<std::string>;

TEST(CommandLine, ShortMeshNamesGetASecondDash) {
  EXPECT_EQ(normalise_arguments({"run", "-tp", "2", "-pp=3", "-np", "4", "-p", "x"}),
            (Words{"run", "--tp", "2", "--pp=3", "--np", "4", "-p", "x"}));
}

TEST(CommandLine, TextsAreLeftAlone) {
  EXPECT_EQ(normalise_arguments({"-p", "-tp", "--stop", "-ngl"}), (Words{"-p", "-tp", "--stop", "-ngl"}));
  EXPECT_EQ(normalise_arguments({"--", "-tp"}), (Words{"--", "-tp"}));
}

TEST(CommandLine, OptionsOfOthersAreNamed) {
  for (const char* option : {"-ngl", "--swap-space", "--swap-space=4", "-dp", "--dtype"}) {
    try {
      normalise_arguments({"run", option, "1"});
      FAIL() << option;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage);
      const std::string name = std::string(option).substr(0, std::string(option).find('='));
      EXPECT_NE(error.cause().find(name), std::string::npos) << error.cause();
      EXPECT_FALSE(error.remedy().empty());
    }
  }
}

TEST(CommandLine, RemediesAreWhatThisProgramHas) {
  const std::pair<const char*, const char*> remedies[] = {{"-ngl", "--device"},
                                                          {"--tensor-split", "-tp"},
                                                          {"-md", "--speculative-config"},
                                                          {"--model-draft", "--speculative-config"},
                                                          {"--lora", "--lora-modules"}};
  for (const auto& [option, remedy] : remedies) {
    try {
      normalise_arguments({"serve", "model", option, "x"});
      FAIL() << option;
    } catch (const Error& error) {
      EXPECT_NE(error.remedy().find(remedy), std::string::npos) << option << ": " << error.remedy();
    }
  }
}

TEST(CommandLine, SomeCommandsHaveWhatOthersHaveNot) {
  for (const Words& words : {Words{"bench", "serve", "--tokenizer", "model"}, Words{"run", "--lora", "folder"}}) {
    EXPECT_EQ(normalise_arguments(words), words);
  }
  EXPECT_THROW(normalise_arguments({"serve", "model", "--tokenizer", "model"}), Error);
  EXPECT_THROW(normalise_arguments({"batch", "in", "out", "--lora", "folder"}), Error);
}

}  // namespace
}  // namespace longship
