#include "core/thread_pool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <numeric>
#include <set>

namespace longship {
namespace {

// How often each of `count` items was visited.
std::vector<int> visits(ThreadPool& pool, int64_t count, int64_t grain) {
  std::vector<int> seen(static_cast<std::size_t>(count), 0);
  pool.parallel_for(count, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      ++seen[static_cast<std::size_t>(i)];
    }
  });
  return seen;
}

TEST(ThreadPool, VisitsEveryItemOnce) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    for (const int64_t count : {0, 1, 2, 7, 64, 1000}) {
      for (const int64_t grain : {1, 3, 2000}) {
        EXPECT_EQ(visits(pool, count, grain), std::vector<int>(static_cast<std::size_t>(count), 1));
      }
    }
  }
}

TEST(ThreadPool, KeepsRangesOnMultiplesOfTheGrain) {
  ThreadPool pool(3);
  std::mutex mutex;
  std::set<int64_t> begins;
  pool.parallel_for(103, 8, [&](int64_t begin, int64_t end) {
    const std::lock_guard lock(mutex);
    EXPECT_GE(end - begin, end == 103 ? 7 : 8);
    begins.insert(begin);
  });
  EXPECT_GT(begins.size(), 1U);
  for (const int64_t begin : begins) {
    EXPECT_EQ(begin % 8, 0);
  }
}

TEST(ThreadPool, RunsASingleRangeOnTheCaller) {
  ThreadPool pool(4);
  std::thread::id runner;
  pool.parallel_for(10, 10, [&](int64_t, int64_t) { runner = std::this_thread::get_id(); });
  EXPECT_EQ(runner, std::this_thread::get_id());
}

TEST(ThreadPool, SharesTheWork) {
  ThreadPool pool(2);
  std::mutex mutex;
  std::set<std::thread::id> runners;
  pool.parallel_for(4, 1, [&](int64_t, int64_t) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    const std::lock_guard lock(mutex);
    runners.insert(std::this_thread::get_id());
  });
  EXPECT_EQ(runners.size(), 2U);
}

TEST(ThreadPool, WakesWorkersThatSleep) {
  ThreadPool pool(3);
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    EXPECT_EQ(visits(pool, 24, 1), std::vector<int>(24, 1));
  }
}

TEST(ThreadPool, ManyShortJobsSeeTheResultsOfTheOneBefore) {
  ThreadPool pool(4);
  std::vector<int64_t> values(256, 0);
  for (int64_t round = 0; round < 5000; ++round) {
    pool.parallel_for(std::ssize(values), 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        ASSERT_EQ(values[static_cast<std::size_t>(i)], round);
        ++values[static_cast<std::size_t>(i)];
      }
    });
  }
}

// Far more threads than cores: a job must not wait for the system's time slices, 4 ms each and more.
TEST(ThreadPool, DoesNotCollapseWhenOversubscribed) {
  ThreadPool pool(static_cast<int>(4 * std::thread::hardware_concurrency()));
  const auto start = std::chrono::steady_clock::now();
  for (int job = 0; job < 2000; ++job) {
    std::atomic<int64_t> sum = 0;
    pool.parallel_for(64, 1, [&](int64_t begin, int64_t end) { sum += end - begin; });
    ASSERT_EQ(sum.load(), 64);
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  EXPECT_LT(seconds.count(), 4.0);
}

}  // namespace
}  // namespace longship
