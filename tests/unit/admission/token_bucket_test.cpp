#include "core/admission/token_bucket.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace postern::admission {
namespace {

constexpr int64_t kSecond = 1'000'000;
constexpr int64_t kStart = 77 * kSecond;

TEST(TokenBucket, PassesABurstOfOneSecondsWorth) {
  TokenBucket bucket(10);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(bucket.take(kStart), 0) << i;
  EXPECT_EQ(bucket.take(kStart), 1);
}

TEST(TokenBucket, FillsWithTime) {
  TokenBucket bucket(10);
  for (int i = 0; i < 10; ++i) bucket.take(kStart);
  EXPECT_GT(bucket.take(kStart + kSecond / 10 - 1000), 0);
  EXPECT_EQ(bucket.take(kStart + kSecond / 10 + 1000), 0);
  EXPECT_GT(bucket.take(kStart + kSecond / 10 + 2000), 0);
}

TEST(TokenBucket, SavesNoMoreThanItsBurst) {
  TokenBucket bucket(3);
  EXPECT_EQ(bucket.take(kStart), 0);
  int64_t later = kStart + 3600 * kSecond;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(bucket.take(later), 0);
  EXPECT_EQ(bucket.take(later), 1);
}

TEST(TokenBucket, TellsWhenToTryAgain) {
  TokenBucket slow(1.0 / 3600);  // 1/h
  EXPECT_EQ(slow.take(kStart), 0);
  EXPECT_NEAR(static_cast<double>(slow.take(kStart)), 3600, 1);
  EXPECT_NEAR(static_cast<double>(slow.take(kStart + 600 * kSecond)), 3000, 1);
  int64_t wait = slow.take(kStart + 600 * kSecond);
  EXPECT_EQ(slow.take(kStart + (600 + wait) * kSecond), 0) << "it was told to come back then";
}

TEST(TokenBucket, KeepsTheRateInTheLongRunWhateverIsRefused) {
  TokenBucket bucket(5);
  int passed = 0;
  for (int64_t ms = 0; ms < 100'000; ++ms) passed += bucket.take(kStart + ms * 1000) == 0;
  EXPECT_GE(passed, 5 + 5 * 100 - 2);
  EXPECT_LE(passed, 5 + 5 * 100);
}

TEST(TokenBucket, TakesItsFirstMomentForItsStart) {
  TokenBucket bucket(2);
  for (int64_t now : {int64_t{0}, int64_t{0}}) EXPECT_EQ(bucket.take(now), 0);
  EXPECT_GT(bucket.take(0), 0);
}

// Each thread reads the clock before it waits for the bucket, so moments come a little out of order.
TEST(TokenBucket, GainsNothingFromMomentsOutOfOrder) {
  TokenBucket bucket(10);
  int passed = 0;
  for (int i = 0; i < 1000; ++i) passed += bucket.take(kStart + (i % 2) * 1000) == 0;
  EXPECT_LE(passed, 11);
}

TEST(TokenBucket, ServesManyThreads) {
  TokenBucket bucket(100);
  std::atomic<int> passed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) passed += bucket.take(kStart) == 0;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(passed, 100);
}

}  // namespace
}  // namespace postern::admission
