#include "core/dispatch/retry_policy.h"

#include <gtest/gtest.h>

namespace postern::dispatch {
namespace {

using config::milliseconds;

config::Retry policy(double jitter = 0) {
  config::Retry p;
  p.base = milliseconds(1000);
  p.factor = 2;
  p.cap = milliseconds(60'000);
  p.jitter = jitter;
  return p;
}

TEST(RetryPolicyTest, GrowsToTheCap) {
  const int64_t expected[] = {1000, 2000, 4000, 8000, 16'000, 32'000, 60'000, 60'000};
  uint32_t attempts = 0;
  for (int64_t ms : expected) EXPECT_EQ(retry_delay_ms(policy(), ++attempts, 0.5), ms);
}

TEST(RetryPolicyTest, JitterGoesBothWays) {
  EXPECT_EQ(retry_delay_ms(policy(0.1), 1, 0), 900);
  EXPECT_EQ(retry_delay_ms(policy(0.1), 1, 0.5), 1000);
  EXPECT_NEAR(static_cast<double>(retry_delay_ms(policy(0.1), 1, 0.999999)), 1100, 1);
}

TEST(RetryPolicyTest, ManyAttemptsDoNotOverflow) {
  for (uint32_t attempts : {64u, 1100u, 4'000'000'000u}) EXPECT_EQ(retry_delay_ms(policy(), attempts, 0.5), 60'000);
}

TEST(RetryPolicyTest, NeverNothing) {
  config::Retry p = policy(1);
  EXPECT_EQ(retry_delay_ms(p, 1, 0), 1);
  p.base = milliseconds(1);
  p.factor = 1;
  EXPECT_EQ(retry_delay_ms(p, 50, 0), 1);
}

}  // namespace
}  // namespace postern::dispatch
