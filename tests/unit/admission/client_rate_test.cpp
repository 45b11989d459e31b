#include "core/admission/client_rate.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

namespace postern::admission {
namespace {

constexpr int64_t kStart = 5'000'000'000, kSecond = 1'000'000;

std::string address(int n) {
  return "10." + std::to_string(n >> 16 & 255) + "." + std::to_string(n >> 8 & 255) + "." + std::to_string(n & 255);
}

int passes(ClientRate& rate, const std::string& client, int tries, int64_t at) {
  int passed = 0;
  for (int i = 0; i < tries; ++i) passed += rate.take(client, at) == 0;
  return passed;
}

TEST(ClientRate, AllowsEachClientItsBurstAndThenItsRate) {
  ClientRate rate(20);
  for (const char* client : {"192.0.2.1", "192.0.2.2", "2001:db8::1"}) {
    EXPECT_EQ(passes(rate, client, 100, kStart), 20) << client;
    EXPECT_EQ(passes(rate, client, 100, kStart + kSecond / 2), 10) << client;
    EXPECT_EQ(passes(rate, client, 100, kStart + 100 * kSecond), 20) << "no more than the burst, however long ago: " << client;
  }
}

TEST(ClientRate, TellsWhenToTryAgain) {
  ClientRate seldom(0.1);
  EXPECT_EQ(seldom.take("192.0.2.1", kStart), 0);
  EXPECT_EQ(seldom.take("192.0.2.1", kStart), 10);
  EXPECT_EQ(seldom.take("192.0.2.1", kStart + 1), 10) << "rounded up: whoever comes then is not too early";
  EXPECT_EQ(seldom.take("192.0.2.1", kStart + 9 * kSecond), 1);
  EXPECT_EQ(seldom.take("192.0.2.1", kStart + 10 * kSecond), 0);
  ClientRate often(1000);
  EXPECT_EQ(passes(often, "192.0.2.1", 2000, kStart), 1000);
  EXPECT_EQ(often.take("192.0.2.1", kStart), 1);
}

// A refused request costs nothing, or whoever tries again and again would never get through.
TEST(ClientRate, DoesNotCountWhatItRefuses) {
  ClientRate rate(1);
  EXPECT_EQ(rate.take("192.0.2.1", kStart), 0);
  for (int i = 1; i < 1000; ++i) EXPECT_EQ(rate.take("192.0.2.1", kStart + i), 1);
  EXPECT_EQ(rate.take("192.0.2.1", kStart + kSecond), 0);
}

TEST(ClientRate, CountsANetworkAndAMappedAddressOnce) {
  ClientRate rate(10);
  EXPECT_EQ(passes(rate, "2001:db8:1:2::1", 6, kStart), 6);
  EXPECT_EQ(passes(rate, "2001:db8:1:2:aaaa::7", 6, kStart), 4);
  EXPECT_EQ(passes(rate, "192.0.2.1", 6, kStart), 6);
  EXPECT_EQ(passes(rate, "::ffff:192.0.2.1", 6, kStart), 4);
}

// Attack: more addresses than there is room for. Each may begin with a burst while there is room; then nobody gets anything new by coming
// from yet another one, nor by coming back.
TEST(ClientRate, GivesAFloodOfAddressesNoMoreThanItsPlaces) {
  constexpr size_t kPlaces = ClientRate::kStripes * ClientRate::kWays;
  ClientRate rate(10, kPlaces);
  int64_t passed = 0;
  for (int round = 0; round < 3; ++round) {
    for (int n = 0; n < 20'000; ++n) passed += rate.take(address(n), kStart) == 0;
  }
  EXPECT_LE(passed, static_cast<int64_t>(kPlaces) * 10) << "what as many clients get as there are places";
  EXPECT_GE(passed, static_cast<int64_t>(kPlaces) * 9) << "and all of it, since each stripe had enough of them";
  int64_t later = 0;
  for (int n = 0; n < 20'000; ++n) later += rate.take(address(n), kStart + kSecond) == 0;
  EXPECT_LE(later, static_cast<int64_t>(kPlaces) * 10);
}

// The same client, evicted between any two of its requests.
TEST(ClientRate, IsNotPassedByBeingForgotten) {
  constexpr size_t kPlaces = ClientRate::kStripes * ClientRate::kWays;
  ClientRate rate(10, kPlaces);
  for (int n = 0; n < 20'000; ++n) rate.take(address(n), kStart);  // until no place has anything left
  int passed = 0;
  for (int i = 0; i < 50; ++i) {
    passed += rate.take("192.0.2.1", kStart) == 0;
    for (int n = 0; n < 1000; ++n) rate.take(address(20'000 + i * 1000 + n), kStart);
  }
  EXPECT_EQ(passed, 0);
}

// A client that has reached its limit is remembered while there are others who have not.
TEST(ClientRate, ForgetsFirstWhoseBucketIsFull) {
  constexpr size_t kPlaces = ClientRate::kStripes * ClientRate::kWays;
  ClientRate rate(10, kPlaces);
  for (int n = 0; n < 5000; ++n) rate.take(address(n), kStart);
  const int64_t later = kStart + 10 * kSecond;  // all of them are full again
  ASSERT_EQ(passes(rate, "192.0.2.1", 20, later), 10);
  for (int n = 0; n < 200; ++n) EXPECT_EQ(rate.take(address(10'000 + n), later), 0) << "there was room, " << n;
  EXPECT_NE(rate.take("192.0.2.1", later), 0);
}

TEST(ClientRate, ServesManyThreads) {
  ClientRate rate(100);
  std::atomic<int> passed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) passed += rate.take(address(i % 5), kStart) == 0;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(passed, 500);
}

}  // namespace
}  // namespace postern::admission
