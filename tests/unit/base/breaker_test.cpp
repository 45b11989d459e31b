#include "core/base/breaker.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

using State = Breaker::State;

Breaker breaker() { return Breaker(3, 100); }

Breaker opened_at(int64_t now) {
  Breaker b = breaker();
  for (int i = 0; i < 3; ++i) b.on_failure(false, now);
  return b;
}

TEST(BreakerTest, OpensAfterFailuresInARow) {
  Breaker b = breaker();
  for (int i = 0; i < 2; ++i) b.on_failure(false, 1000);
  b.on_success(false);
  for (int i = 0; i < 2; ++i) b.on_failure(false, 1000);
  EXPECT_EQ(b.state(), State::kClosed);
  EXPECT_TRUE(b.allows(1000));
  EXPECT_EQ(b.opens(), 0u);
  EXPECT_EQ(b.opens_again_at_ms(), 0);
  b.on_failure(false, 1000);
  EXPECT_EQ(b.state(), State::kOpen);
  EXPECT_FALSE(b.allows(1099));
  EXPECT_EQ(b.opens_again_at_ms(), 1100);
  EXPECT_EQ(b.opens(), 1u);
}

TEST(BreakerTest, LetsOneTrialThrough) {
  Breaker b = opened_at(1000);
  EXPECT_TRUE(b.allows(1100));
  b.on_start();
  EXPECT_EQ(b.state(), State::kHalfOpen);
  EXPECT_FALSE(b.allows(999'999));
  EXPECT_EQ(b.opens_again_at_ms(), 0);
}

TEST(BreakerTest, ATrialThatFailsOpensAgain) {
  Breaker b = opened_at(1000);
  b.on_start();
  b.on_failure(true, 1500);
  EXPECT_EQ(b.state(), State::kOpen);
  EXPECT_FALSE(b.allows(1599));
  EXPECT_TRUE(b.allows(1600));
  EXPECT_EQ(b.opens(), 1u) << "it never closed in between";
}

TEST(BreakerTest, ATrialThatSucceedsCloses) {
  Breaker b = opened_at(1000);
  b.on_start();
  b.on_success(true);
  EXPECT_EQ(b.state(), State::kClosed);
  EXPECT_EQ(b.failures(), 0u);
  b.on_failure(false, 2000);
  EXPECT_EQ(b.state(), State::kClosed);
}

TEST(BreakerTest, ATrialThatToldNothingMakesRoomForAnother) {
  Breaker b = opened_at(1000);
  b.on_start();
  b.on_neither(true);
  EXPECT_TRUE(b.allows(1200));
  EXPECT_NE(b.state(), State::kClosed);
}

// Those that were out already when it opened come back one by one; they are no trials.
TEST(BreakerTest, FailuresOfTheOthersDoNotEndTheTrial) {
  Breaker b = opened_at(1000);
  EXPECT_TRUE(b.on_start());  // the trial, at 1100
  b.on_failure(false, 1110);
  b.on_neither(false);
  EXPECT_FALSE(b.allows(1300)) << "a second trial beside the first";
  b.on_success(false);
  EXPECT_EQ(b.state(), State::kHalfOpen) << "only the trial closes it";
}

}  // namespace
}  // namespace postern
