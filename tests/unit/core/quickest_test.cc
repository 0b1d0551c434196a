#include "core/quickest.h"

#include <gtest/gtest.h>

namespace longship {
namespace {

TEST(QuickestCollectives, TakeTheShortestOfThoseAlikeForAll) {
  QuickestCollectives quickest;
  for (const int64_t ns : {50, 10, 30}) quickest.add("reduce", 64, ns);
  for (const int64_t ns : {500, 400}) quickest.add("reduce", 6400, ns);
  EXPECT_EQ(quickest.take(), 3 * 10 + 2 * 400);
  EXPECT_EQ(quickest.take(), 830) << "it counts from the start on";
  quickest.add("reduce", 64, 40);
  EXPECT_EQ(quickest.take(), 830 + 40) << "periods do not know each other";
}

TEST(QuickestCollectives, CountWholeWhatFindsNoRoom) {
  QuickestCollectives quickest;
  for (int64_t bytes = 1; bytes <= 100; ++bytes) {
    quickest.add("reduce", bytes, 10);
    quickest.add("reduce", bytes, 12);
  }
  EXPECT_EQ(quickest.take(), 16 * 2 * 10 + 84 * 22);
}

}  // namespace
}  // namespace longship
