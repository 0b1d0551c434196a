#include "launcher/generate/stop_matcher.h"

#include <gtest/gtest.h>

namespace longship {
namespace {

TEST(StopMatcher, WithoutStopStringsAllIsShownAtOnce) {
  StopMatcher matcher({""});
  EXPECT_EQ(matcher.push("abc"), "abc");
  EXPECT_EQ(matcher.flush(), "");
  EXPECT_FALSE(matcher.stopped());
}

TEST(StopMatcher, NoPartOfAStopStringIsEverShown) {
  StopMatcher matcher({"STOP"});
  EXPECT_EQ(matcher.push("one ST"), "one ");
  EXPECT_EQ(matcher.push("O"), "");
  EXPECT_EQ(matcher.push("P two"), "");
  EXPECT_TRUE(matcher.stopped());
  EXPECT_EQ(matcher.push("three"), "");
  EXPECT_EQ(matcher.flush(), "");
}

TEST(StopMatcher, WhatWasHeldInVainIsShownLater) {
  StopMatcher matcher({"STOP"});
  EXPECT_EQ(matcher.push("ST"), "");
  EXPECT_EQ(matcher.push("EP ST"), "STEP ");
  EXPECT_EQ(matcher.flush(), "ST");
}

TEST(StopMatcher, TheFirstOfSeveralWins) {
  StopMatcher matcher({"zz", "b c"});
  EXPECT_EQ(matcher.push("a b c zz"), "a ");
  EXPECT_TRUE(matcher.stopped());
}

// Every way to cut a text into pieces shows the same.
TEST(StopMatcher, PiecesDoNotMatter) {
  const std::string text = "aabaabaaab!rest";
  for (unsigned cuts = 0; cuts < (1U << (text.size() - 1)); ++cuts) {
    StopMatcher matcher({"aaab", "b!"});
    std::string shown;
    std::string piece;
    for (std::size_t i = 0; i < text.size(); ++i) {
      piece += text[i];
      if ((cuts >> i & 1U) != 0) {
        shown += matcher.push(piece);
        piece.clear();
      }
    }
    shown += matcher.push(piece);
    shown += matcher.flush();
    ASSERT_EQ(shown, "aabaab") << cuts;
    ASSERT_TRUE(matcher.stopped());
  }
}

}  // namespace
}  // namespace longship
