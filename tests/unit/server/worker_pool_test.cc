#include "launcher/server/worker_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace longship {
namespace {

TEST(WorkerPool, SmallWorkDoesNotWaitForLargeWork) {
  std::promise<void> end_large;
  std::shared_future<void> large_may_end = end_large.get_future().share();
  std::promise<void> small_done;
  std::atomic<int> large_done = 0;
  WorkerPool pool(2, 10);
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(pool.submit(
        [&] {
          large_may_end.wait();
          ++large_done;
        },
        true));
  }
  EXPECT_TRUE(pool.submit([&] { small_done.set_value(); }, false));
  EXPECT_EQ(small_done.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
  EXPECT_EQ(large_done, 0);
  end_large.set_value();
  while (large_done < 4) std::this_thread::yield();
}

TEST(WorkerPool, RefusesMoreThanMayWait) {
  std::promise<void> end;
  std::shared_future<void> may_end = end.get_future().share();
  std::promise<void> begun;
  WorkerPool pool(2, 3);
  ASSERT_TRUE(pool.submit(
      [&] {
        begun.set_value();
        may_end.wait();
      },
      true));
  begun.get_future().wait();
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(pool.submit([] {}, true));
  EXPECT_FALSE(pool.submit([] {}, true));
  end.set_value();
}

}  // namespace
}  // namespace longship
