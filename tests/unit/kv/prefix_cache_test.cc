#include "engine/kv/prefix_cache.h"

#include <gtest/gtest.h>

namespace longship {
namespace {

constexpr PrefixCache::Id kBeginning = PrefixCache::kBeginning;
const std::vector<int32_t> kTokens = {1, 2, 3};
const std::vector<int32_t> kOthers = {1, 2, 4};

TEST(PrefixCache, FindsAPageByItsTokensAndThoseBefore) {
  PrefixCache cache;
  const auto first = cache.insert(kBeginning, kTokens, 7, 10);
  const auto second = cache.insert(first.id, kTokens, 5, 11);
  EXPECT_EQ(cache.find(kBeginning, kTokens)->page, 7);
  EXPECT_EQ(cache.find(kBeginning, kTokens)->step, 10U);
  EXPECT_EQ(cache.find(first.id, kTokens)->page, 5);
  EXPECT_FALSE(cache.find(second.id, kTokens));
  EXPECT_FALSE(cache.find(kBeginning, kOthers));
  EXPECT_FALSE(cache.find(kBeginning, std::span(kTokens).first(2)));
}

TEST(PrefixCache, TheFirstPageOfTwoThatHoldTheSameIsTheOneThatIsFound) {
  PrefixCache cache;
  const auto first = cache.insert(kBeginning, kTokens, 7, 10);
  const auto same = cache.insert(kBeginning, kTokens, 8, 12);
  EXPECT_EQ(same.id, first.id);
  EXPECT_EQ(same.page, 7);
  cache.forget(8);
  EXPECT_EQ(cache.find(kBeginning, kTokens)->page, 7);
}

TEST(PrefixCache, EveryAdapterHasABeginningOfItsOwn) {
  PrefixCache cache;
  const PrefixCache::Id one = PrefixCache::beginning_with(1);
  EXPECT_EQ(PrefixCache::beginning_with(0), kBeginning);
  cache.insert(kBeginning, kTokens, 7, 1);
  EXPECT_FALSE(cache.find(one, kTokens));
  cache.insert(one, kTokens, 8, 1);
  EXPECT_EQ(cache.find(one, kTokens)->page, 8);
  EXPECT_EQ(cache.find(kBeginning, kTokens)->page, 7);
  EXPECT_TRUE(cache.restore(PrefixCache::beginning_with(INT32_MAX), kOthers, {5, 9, 1}));
  EXPECT_FALSE(cache.restore(PrefixCache::beginning_with(INT32_MAX) - 1, kOthers, {6, 10, 1}));
}

// Otherwise what follows a page could be found behind another page of the same name.
TEST(PrefixCache, ANameIsNeverGivenAgain) {
  PrefixCache cache;
  const auto first = cache.insert(kBeginning, kTokens, 7, 1);
  cache.insert(first.id, kOthers, 8, 1);
  cache.forget(7);
  EXPECT_FALSE(cache.find(kBeginning, kTokens));
  const auto again = cache.insert(kBeginning, kTokens, 7, 2);
  EXPECT_NE(again.id, first.id);
  EXPECT_FALSE(cache.find(again.id, kOthers));
  cache.forget(8);
  EXPECT_FALSE(cache.find(first.id, kOthers));
}

}  // namespace
}  // namespace longship
