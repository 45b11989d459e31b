// Who is woken when: workers that pause while the disk is behind, and those that come to help.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "tests/unit/dispatch/dispatcher_harness.h"

namespace postern::dispatch {
namespace {

using config::milliseconds;
using Outcome = HandlerOutcome;

class WakeTest : public testing::DispatcherHarness {
 protected:
  template <typename Condition>
  static bool eventually(Condition condition) {
    for (int i = 0; i < 60'000 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return condition();
  }

  static constexpr uint32_t kWorkers = 4;
};

TEST_F(WakeTest, WorkersPauseWhileTheDiskIsBehindAndGoOnWhenEnoughIsDurable) {
  constexpr size_t kAll = 9'000, kMost = 4'096, kEnough = 256;
  std::atomic<size_t> handled = 0;
  own().handle = [&](Delivery&) -> HandlerResult {
    ++handled;
    return {};
  };
  for (size_t i = 0; i < kAll; ++i) store_.add();
  store_.hold(0);
  start(kWorkers);
  ASSERT_TRUE(eventually([&] { return store_.submitted() >= kMost; }));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_LT(handled, kMost + kWorkers);  // each may have been at one when it became too much

  // Not before there are enough: also news of deliveries wakes nobody in vain.
  size_t before = handled;
  store_.hold(kEnough - kWorkers - 1);
  store_.add();
  ASSERT_TRUE(store_.wait_for_seen(kEnough - kWorkers - 1));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(handled, before);

  store_.hold(SIZE_MAX, 7);
  ASSERT_TRUE(store_.wait_for_seen(kAll + 1));
  EXPECT_EQ(handled, kAll + 1);
}

// Whoever asks for the status reads the news too, and may be the one who finds that it is enough.
TEST_F(WakeTest, ThePauseEndsWhoeverReadsTheNews) {
  constexpr size_t kAll = 12'000;
  own().handle = [](Delivery&) -> HandlerResult { return {}; };
  for (size_t i = 0; i < kAll; ++i) store_.add();
  store_.hold(SIZE_MAX, 5);
  std::atomic<bool> done = false;
  start(kWorkers);
  std::thread curious([&] {
    while (!done) dispatcher_->status();
  });
  EXPECT_TRUE(store_.wait_for_seen(kAll));
  done = true;
  curious.join();
}

// The retry that is due first belongs to a subscriber whose breaker is open: what is due after it must not wait for that.
TEST_F(WakeTest, ARetryDoesNotWaitBehindAnOpenBreaker) {
  own().policies.retry.base = milliseconds(50);
  own().policies.breaker = {1, milliseconds(3'600'000)};
  own().handle = [](Delivery&) -> HandlerResult { return {Outcome::kRetry, "down"}; };
  Subscriber& other = subscribe("other");
  other.policies.retry.base = milliseconds(200);
  other.handle = [](Delivery& d) -> HandlerResult { return {d.attempt() == 1 ? Outcome::kRetry : Outcome::kDone, "busy"}; };
  start(kWorkers);
  store_.add();
  store_.add("", "other");
  EXPECT_TRUE(store_.wait_for_seen(3));  // the other one's second run
}

// Each waits for all the others: it ends only when every worker has come.
TEST_F(WakeTest, SlowHandlersGetAllWorkers) {
  std::atomic<uint32_t> inside = 0;
  std::atomic<bool> met = false;
  own().handle = [&](Delivery&) -> HandlerResult {
    ++inside;
    met = met || eventually([&] { return met || inside == kWorkers; });
    return {};
  };
  start(kWorkers);
  for (uint32_t i = 0; i < kWorkers; ++i) store_.add();
  ASSERT_TRUE(store_.wait_for_seen(kWorkers));
  EXPECT_TRUE(met);
}

}  // namespace
}  // namespace postern::dispatch
