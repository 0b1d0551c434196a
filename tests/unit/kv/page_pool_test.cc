#include "engine/kv/page_pool.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

namespace longship {
namespace {

TEST(PagePool, GivesEveryPageOnce) {
  PagePool pool(5);
  EXPECT_EQ(pool.pages(), 5);
  std::set<int32_t> taken;
  while (pool.free_pages() > 0) {
    taken.insert(pool.take());
  }
  EXPECT_EQ(taken, (std::set<int32_t>{0, 1, 2, 3, 4}));
}

TEST(PagePool, GivesPagesAgainOnceTheyAreBack) {
  PagePool pool(3);
  pool.take();
  std::vector<int32_t> pages = {pool.take(), pool.take()};
  const std::vector<int32_t> before = pages;
  pool.give_back(pages);
  EXPECT_TRUE(pages.empty());
  EXPECT_EQ(pool.free_pages(), 2);
  std::vector<int32_t> again = {pool.take(), pool.take()};
  EXPECT_TRUE(std::is_permutation(again.begin(), again.end(), before.begin(), before.end()));
}

TEST(PagePool, NoPageHasTwoOwners) {
  PagePool pool(40);
  std::mt19937 random(1);
  std::vector<std::vector<int32_t>> owners(8);
  std::set<int32_t> owned;
  for (int i = 0; i < 5000; ++i) {
    std::vector<int32_t>& owner = owners[random() % owners.size()];
    if (random() % 8 == 0) {
      for (const int32_t page : owner) {
        owned.erase(page);
      }
      pool.give_back(owner);
    } else if (pool.free_pages() > 0) {
      owner.push_back(pool.take());
      ASSERT_TRUE(owned.insert(owner.back()).second);
    }
    ASSERT_EQ(pool.free_pages() + static_cast<int64_t>(owned.size()), pool.pages());
  }
}

TEST(PagePool, ASharedPageIsFreeOnceAllHaveGivenItBack) {
  PagePool pool(2);
  const int32_t page = pool.take();
  pool.share(page);
  EXPECT_EQ(pool.users(page), 2);
  std::vector<int32_t> one = {page};
  std::vector<int32_t> other = {page};
  pool.give_back(one);
  EXPECT_EQ(pool.free_pages(), 1);
  pool.give_back(other);
  EXPECT_EQ(pool.free_pages(), 2);
}

TEST(PagePool, WhatIsWorthKeepingIsTakenLastAndOldestFirst) {
  PagePool pool(6);
  std::vector<int32_t> first = {pool.take(), pool.take()};
  std::vector<int32_t> second = {pool.take(), pool.take()};
  std::vector<int32_t> plain = {pool.take()};
  const std::vector<int32_t> a = first;
  const std::vector<int32_t> b = second;
  for (const int32_t page : {a[0], a[1], b[0], b[1]}) {
    pool.keep(page);
  }
  pool.give_back(first);
  pool.give_back(second);
  pool.give_back(plain);
  pool.share(a[0]);
  std::vector<int32_t> again = {a[0]};
  pool.give_back(again);
  EXPECT_EQ(pool.free_pages(), 6);
  pool.take();
  pool.take();
  EXPECT_EQ(pool.take(), a[1]);
  EXPECT_EQ(pool.take(), b[1]);
  EXPECT_EQ(pool.take(), b[0]);
  EXPECT_EQ(pool.take(), a[0]);
  EXPECT_EQ(pool.free_pages(), 0);
}

TEST(PagePoolDeathTest, MisuseEndsTheProcess) {
  PagePool pool(1);
  std::vector<int32_t> pages = {0};
  EXPECT_DEATH(pool.give_back(pages), "given back twice");
  pool.take();
  EXPECT_DEATH(pool.take(), "empty pool");
}

}  // namespace
}  // namespace longship
