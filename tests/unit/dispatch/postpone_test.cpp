// Deliveries that are put off: no attempt is counted, no breaker opens, the key stays taken, and it does not go on for ever.
#include <gmock/gmock.h>

#include <atomic>

#include "core/base/clock.h"
#include "tests/support/eventually.h"
#include "tests/unit/dispatch/dispatcher_harness.h"

namespace postern::dispatch {
namespace {

using config::milliseconds;
using Kind = store::Settlement::Kind;
using Outcome = HandlerOutcome;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

constexpr int64_t kDayMs = 86'400'000;
constexpr int64_t kRounding = 2;  // due times are wall clock's, waits the steady one's, both in whole milliseconds

class PostponeTest : public testing::DispatcherHarness {
 protected:
  ~PostponeTest() override {
    if (dispatcher_) {
      EXPECT_TRUE(dispatcher_->stop(60'000));  // before what the handlers write to
    }
  }
  void note(const Delivery& d) {
    std::lock_guard lock(mutex_);
    runs_.push_back(std::to_string(d.seq()) + "." + std::to_string(d.attempt()));
  }
  std::vector<std::string> runs() {
    std::lock_guard lock(mutex_);
    return runs_;
  }
  Dispatcher::SubscriberStatus status_of_own() { return dispatcher_->status().subscribers.at(0); }

  std::atomic<bool> down_{true};

 private:
  std::mutex mutex_;
  std::vector<std::string> runs_;
};

TEST_F(PostponeTest, CostsNoAttempt) {
  own().policies.retry.attempts = 2;
  own().handle = [&](Delivery& d) -> HandlerResult {
    note(d);
    EXPECT_TRUE(d.put_record("c", "k", "1", store::kAnyVersion));
    d.retry_after(1);
    return {down_ ? Outcome::kPostpone : Outcome::kDone, "the breaker is open"};
  };
  start();
  int64_t began = steady_ms();
  store_.add();
  ASSERT_TRUE(store_.wait_for_seen(2));
  EXPECT_GE(steady_ms() - began, 1000 - kRounding) << "the least wait";
  down_ = false;
  ASSERT_TRUE(store_.wait_for_seen(3));
  EXPECT_GE(steady_ms() - began, 3000 - kRounding) << "the least wait of a second time in a row";
  EXPECT_THAT(runs(), ElementsAre("1.1", "1.1", "1.1"));
  auto seen = store_.seen();
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(seen[i].kind, Kind::kPostpone);
    EXPECT_EQ(seen[i].attempts, 0u);
    EXPECT_EQ(seen[i].detail, "the breaker is open");
    EXPECT_THAT(seen[i].records, SizeIs(0));
  }
  EXPECT_EQ(seen[2].kind, Kind::kDone);
  EXPECT_EQ(seen[2].attempts, 1u);
}

TEST_F(PostponeTest, AttemptsThatWereMadeStay) {
  own().handle = [&](Delivery& d) -> HandlerResult {
    if (d.attempt() == 1) return {Outcome::kRetry, "answered 500"};
    return {Outcome::kPostpone, "the breaker is open"};
  };
  start();
  store_.add();
  ASSERT_TRUE(store_.wait_for_seen(2));
  EXPECT_EQ(store_.seen()[0].attempts, 1u);
  EXPECT_EQ(store_.seen()[1].kind, Kind::kPostpone);
  EXPECT_EQ(store_.seen()[1].attempts, 1u);
}

TEST_F(PostponeTest, HoldsItsPlaceInItsKey) {
  own().handle = [&](Delivery& d) -> HandlerResult {
    note(d);
    return {d.seq() == 1 && down_.exchange(false) ? Outcome::kPostpone : Outcome::kDone, "later"};
  };
  own().policies.retry.base = milliseconds(1);
  start();
  store_.add("k");
  ASSERT_TRUE(store_.wait_for_seen(1));
  store_.add("k");
  store_.add("other");
  ASSERT_TRUE(store_.wait_for_seen(4));
  EXPECT_THAT(runs(), ElementsAre("1.1", "3.1", "1.1", "2.1"));
}

TEST_F(PostponeTest, SaysNothingToTheBreakerOrTheShareOfSuccess) {
  own().policies.breaker = {1, milliseconds(600'000)};
  own().policies.retry.base = own().policies.retry.cap = milliseconds(600'000);  // they do not come again meanwhile
  own().handle = [&](Delivery& d) -> HandlerResult { return {d.seq() == 3 ? Outcome::kDone : Outcome::kPostpone, "down"}; };
  start(1);
  for (int i = 0; i < 3; ++i) store_.add();
  ASSERT_TRUE(store_.wait_for_seen(3));
  ASSERT_TRUE(postern::testing::eventually(milliseconds(20'000), [&] { return status_of_own().done == 1; }));
  auto status = status_of_own();
  EXPECT_EQ(status.breaker, "closed");
  EXPECT_EQ(status.failures, 0u);
  EXPECT_EQ(status.postponed, 2u);
  EXPECT_EQ(status.retried + status.dead, 0u);
  EXPECT_EQ(status.last_error, "down") << "why something waits is to be seen";
  Meter::Totals totals = dispatcher_->meter().totals();
  EXPECT_EQ(totals.succeeded, 1u);
  EXPECT_EQ(totals.failed, 0u);
}

// The subscriber's own breaker is half open, and its trial is put off: the next one is the trial.
TEST_F(PostponeTest, ATrialThatIsPutOffMakesRoomForAnother) {
  own().policies.breaker = {1, milliseconds(50)};
  own().policies.retry.base = own().policies.retry.cap = milliseconds(600'000);
  own().handle = [&](Delivery& d) -> HandlerResult {
    note(d);
    if (d.seq() == 1) return {Outcome::kRetry, "down"};
    return {d.seq() == 2 ? Outcome::kPostpone : Outcome::kDone, "later"};
  };
  start(1);
  for (int i = 0; i < 3; ++i) store_.add();
  ASSERT_TRUE(store_.wait_for_seen(3));
  EXPECT_THAT(runs(), ElementsAre("1.1", "2.1", "3.1"));
  EXPECT_TRUE(postern::testing::eventually(milliseconds(20'000), [&] { return status_of_own().breaker == "closed"; }));
}

TEST_F(PostponeTest, WaitsAsLongAsTheHandlerSaysUpToTheCap) {
  own().policies.retry.cap = milliseconds(500'000);
  own().handle = [&](Delivery& d) -> HandlerResult {
    if (d.seq() < 3) d.retry_after(d.seq() == 1 ? 300'000 : 10'000'000);
    return {Outcome::kPostpone, "x"};
  };
  own().policies.retry.base = milliseconds(40'000);
  start();
  for (int i = 0; i < 3; ++i) store_.add();
  ASSERT_TRUE(store_.wait_for_seen(3));
  for (const auto& s : store_.seen()) {
    EXPECT_NEAR(static_cast<double>(s.due_in), s.delivery == 1 ? 300'000 : s.delivery == 2 ? 500'000 : 40'000, 20'000) << s.delivery;
  }
}

TEST_F(PostponeTest, ThatLastsTooLongIsAnAttempt) {
  own().policies.retry.attempts = 2;
  own().handle = [&](Delivery&) -> HandlerResult { return {Outcome::kPostpone, "the breaker is open"}; };
  store_.age_ms = 3 * kDayMs + 1000;
  start();
  store_.add();
  ASSERT_TRUE(store_.wait_for_seen(2));
  EXPECT_EQ(store_.seen()[0].kind, Kind::kRetry);
  EXPECT_EQ(store_.seen()[0].attempts, 1u);
  EXPECT_THAT(store_.seen()[0].detail, HasSubstr("the breaker is open; "));
  EXPECT_THAT(store_.seen()[0].detail, HasSubstr("postpone_for"));
  EXPECT_EQ(store_.seen()[1].kind, Kind::kDead);
  EXPECT_EQ(store_.seen()[1].attempts, 2u);
}

TEST_F(PostponeTest, AReplayBeginsItsTimeAnew) {
  own().handle = [&](Delivery& d) -> HandlerResult {
    note(d);
    return {down_.exchange(false) ? Outcome::kDead : Outcome::kPostpone, "the breaker is open"};
  };
  store_.age_ms = 30 * kDayMs;
  start();
  int64_t delivery = store_.add();
  ASSERT_TRUE(store_.wait_for_seen(1));
  dispatcher_->requeue({store_.reopen(delivery)});
  ASSERT_TRUE(store_.wait_for_seen(2));
  EXPECT_EQ(store_.seen()[1].kind, Kind::kPostpone);
  EXPECT_THAT(store_.seen()[1].detail, Not(HasSubstr("postpone_for")));
}

TEST_F(PostponeTest, ThatThePolicyForbidsIsAnAttempt) {
  own().policies.retry.postpone_for = milliseconds(0);
  own().handle = [&](Delivery&) -> HandlerResult { return {Outcome::kPostpone, "x"}; };
  start();
  store_.add();
  ASSERT_TRUE(store_.wait_for_seen(1));
  EXPECT_EQ(store_.seen()[0].kind, Kind::kRetry);
}

TEST_F(PostponeTest, APendingOneCanBePutOff) {
  own().handle = [&](Delivery& d) -> HandlerResult {
    if (!down_) return {};
    d.retry_after(2000);
    EXPECT_TRUE(d.complete({Outcome::kPostpone, "the breaker is open"}));
    return {Outcome::kPending, {}};
  };
  start();
  store_.add();
  ASSERT_TRUE(store_.wait_for_seen(1));
  EXPECT_EQ(store_.seen()[0].kind, Kind::kPostpone);
  EXPECT_NEAR(static_cast<double>(store_.seen()[0].due_in), 2000, 500);
  down_ = false;
  ASSERT_TRUE(store_.wait_for_seen(2));
  EXPECT_EQ(store_.seen()[1].attempts, 1u);
}

// Thousands that wait for one upstream cost next to nothing while they do.
TEST_F(PostponeTest, ManyDoNotSpin) {
  constexpr size_t kMany = 2000;
  std::atomic<size_t> runs{0};
  own().handle = [&](Delivery& d) -> HandlerResult {
    ++runs;
    d.retry_after(0);
    return {Outcome::kPostpone, "down"};
  };
  start();
  for (size_t i = 0; i < kMany; ++i) store_.add();
  ASSERT_TRUE(store_.wait_for_seen(kMany));
  std::this_thread::sleep_for(milliseconds(4000));
  EXPECT_LE(runs, 4 * kMany) << "after 1 and 3 s, and with a slow machine once more";
}

TEST_F(PostponeTest, AnOpenBreakerTellsWhenItLetsOneThrough) {
  own().policies.breaker = {1, milliseconds(600'000)};
  own().handle = [](Delivery&) -> HandlerResult { return {Outcome::kRetry, "down"}; };
  start();
  EXPECT_EQ(status_of_own().next_trial_at, 0);
  int64_t before = wall_ms();
  store_.add();
  ASSERT_TRUE(postern::testing::eventually(milliseconds(20'000), [&] { return status_of_own().breaker == "open"; }));
  EXPECT_NEAR(static_cast<double>(status_of_own().next_trial_at - before), 600'000, 20'000);
}

}  // namespace
}  // namespace postern::dispatch
