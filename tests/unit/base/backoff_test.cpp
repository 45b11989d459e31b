#include "core/base/backoff.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

Backoff policy(double jitter = 0) { return {1000, 2, 60'000, jitter}; }

TEST(BackoffTest, GrowsToTheCap) {
  const int64_t expected[] = {1000, 2000, 4000, 8000, 16'000, 32'000, 60'000, 60'000};
  uint32_t attempts = 0;
  for (int64_t ms : expected) EXPECT_EQ(backoff_ms(policy(), ++attempts, 0.5), ms);
}

TEST(BackoffTest, JitterGoesBothWays) {
  EXPECT_EQ(backoff_ms(policy(0.1), 1, 0), 900);
  EXPECT_EQ(backoff_ms(policy(0.1), 1, 0.5), 1000);
  EXPECT_NEAR(static_cast<double>(backoff_ms(policy(0.1), 1, 0.999999)), 1100, 1);
}

TEST(BackoffTest, ManyAttemptsDoNotOverflow) {
  for (uint32_t attempts : {64u, 1100u, 4'000'000'000u}) EXPECT_EQ(backoff_ms(policy(), attempts, 0.5), 60'000);
}

TEST(BackoffTest, NeverNothing) {
  Backoff p = policy(1);
  EXPECT_EQ(backoff_ms(p, 1, 0), 1);
  p.base_ms = 1;
  p.factor = 1;
  EXPECT_EQ(backoff_ms(p, 50, 0), 1);
}

}  // namespace
}  // namespace postern
