#include "core/dispatch/delays.h"

#include <gtest/gtest.h>

namespace postern::dispatch {
namespace {

using config::milliseconds;

constexpr double kMiddle = 0.5;  // no jitter

config::Retry policy() {
  config::Retry p;
  p.base = milliseconds(60'000);
  p.factor = 2;
  p.cap = milliseconds(600'000);
  p.jitter = 0.1;
  return p;
}

TEST(RetryDelay, IsThePolicysWithoutAWish) {
  EXPECT_EQ(retry_delay_ms(policy(), 1, {}, kMiddle), 60'000);
  EXPECT_EQ(retry_delay_ms(policy(), 3, {}, kMiddle), 240'000);
  EXPECT_EQ(retry_delay_ms(policy(), 9, {}, kMiddle), 600'000);
}

// An upstream that asks for haste would else burn all attempts within seconds.
TEST(RetryDelay, IsNotShortenedByAWish) {
  for (int64_t wanted : {0, 1, 59'999}) EXPECT_EQ(retry_delay_ms(policy(), 1, wanted, kMiddle), 60'000) << wanted;
  EXPECT_EQ(retry_delay_ms(policy(), 1, 0, 0), 54'000) << "jitter is the policy's own";
}

TEST(RetryDelay, IsLengthenedByAWishUpToTheCap) {
  EXPECT_EQ(retry_delay_ms(policy(), 1, 61'000, kMiddle), 61'000);
  EXPECT_EQ(retry_delay_ms(policy(), 1, 600'001, kMiddle), 600'000);
  EXPECT_EQ(retry_delay_ms(policy(), 1, INT64_MAX, kMiddle), 600'000);
}

TEST(PostponeDelay, IsWhatIsWanted) {
  EXPECT_EQ(postpone_delay_ms(policy(), 1, 30'000, 0), 30'000);
  EXPECT_EQ(postpone_delay_ms(policy(), 1, {}, 0), 60'000) << "the policy's first wait without a wish";
  EXPECT_EQ(postpone_delay_ms(policy(), 1, INT64_MAX, 0), 600'000) << "at most the cap";
}

TEST(PostponeDelay, JitterOnlyLengthensIt) {
  EXPECT_EQ(postpone_delay_ms(policy(), 1, 30'000, kMiddle), 31'500);
  EXPECT_LE(postpone_delay_ms(policy(), 1, INT64_MAX, 0.999), longest_delay_ms(policy()));
}

TEST(PostponeDelay, CannotSpin) {
  for (auto [times, least] :
       {std::pair{0u, 1000}, {1u, 1000}, {2u, 2000}, {3u, 4000}, {4u, 8000}, {7u, 64000}, {8u, 64000}, {UINT32_MAX, 64000}}) {
    EXPECT_EQ(postpone_delay_ms(policy(), times, 0, kMiddle), least) << times;
  }
  config::Retry quick = policy();
  quick.base = quick.cap = milliseconds(1);
  EXPECT_EQ(postpone_delay_ms(quick, 1, {}, kMiddle), 1000) << "a policy for tests spins no more than others";
  EXPECT_EQ(postpone_delay_ms(quick, 100, {}, kMiddle), 8000) << "nor does it wait for long";
  EXPECT_GE(longest_delay_ms(quick), postpone_delay_ms(quick, 100, {}, kMiddle));
}

}  // namespace
}  // namespace postern::dispatch
