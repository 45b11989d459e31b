// Whose word counts for a plugin's deliveries: the file's, then the plugin's, then the gateway's for all.
#include "core/gateway/overrides.h"

#include <gtest/gtest.h>

namespace postern::gateway {
namespace {

using namespace std::chrono_literals;

constexpr plugin::PolicyWish kWish{.deadline_ms = 150'000, .attempts = 24, .retry_base_ms = 2'000, .retry_cap_ms = 6'000};

TEST(PoliciesFor, ThePluginsWishesWhereTheFileSaysNothing) {
  config::Policies given;
  given.retry.factor = 3;
  const config::Policies made = policies_for(kWish, given);
  EXPECT_EQ(made.deadline, 150s);
  EXPECT_EQ(made.retry.attempts, 24u);
  EXPECT_EQ(made.retry.base, 2s);
  EXPECT_EQ(made.retry.cap, 6s);
  EXPECT_EQ(made.retry.factor, 3) << "not the plugin's to say";
}

TEST(PoliciesFor, TheFileWins) {
  config::Policies given;
  given.deadline = 7s;
  given.deadline_is_own = true;
  EXPECT_EQ(policies_for(kWish, given).deadline, 7s);
  EXPECT_EQ(policies_for(kWish, given).retry.attempts, 24u) << "each by itself";
  given.retry.attempts = 3;
  given.retry_is_own = true;
  EXPECT_EQ(policies_for(kWish, given).retry.attempts, 3u);
  EXPECT_EQ(policies_for(kWish, given).retry.base, given.retry.base) << "retry is taken whole";
}

TEST(PoliciesFor, NoWishesChangeNothing) {
  const config::Policies given, made = policies_for({}, given);
  EXPECT_EQ(made.deadline, given.deadline);
  EXPECT_EQ(made.retry.attempts, given.retry.attempts);
  EXPECT_EQ(made.retry.cap, given.retry.cap);
}

TEST(PoliciesFor, TheLongestWaitIsNotLessThanTheFirst) {
  EXPECT_EQ(policies_for({.retry_base_ms = 7'200'000}, {}).retry.cap, 2h);
}

}  // namespace
}  // namespace postern::gateway
