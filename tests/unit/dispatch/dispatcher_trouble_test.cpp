// What goes wrong around a dispatcher: handlers that fail, hang or never come back, targets that are down, a store in trouble.
#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <ctime>
#include <future>
#include <set>

#include "tests/unit/dispatch/dispatcher_harness.h"

namespace postern::dispatch {
namespace {

using config::milliseconds;
using Kind = store::Settlement::Kind;
using Outcome = HandlerOutcome;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr std::chrono::seconds kPatience{60};

using DispatcherTroubleTest = testing::DispatcherHarness;

// ---- retries

TEST_F(DispatcherTroubleTest, TriesAsOftenAsThePolicySays) {
  own().policies.retry.attempts = 3;
  own().handle = [&](Delivery& d) -> HandlerResult {
    EXPECT_TRUE(d.put_record("c", "k", "1", 0));
    calls_.add(text(d));
    return {Outcome::kRetry, "n" + std::to_string(d.attempt())};
  };
  start();
  store_.add();
  ASSERT_TRUE(store_.wait_for_seen(3));
  EXPECT_THAT(calls_.all(), ElementsAre("1.1", "1.2", "1.3"));
  auto seen = store_.seen();
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(seen[i].attempts, i + 1);
    EXPECT_EQ(seen[i].kind, i < 2 ? Kind::kRetry : Kind::kDead);
    EXPECT_EQ(seen[i].outcome, "retry");
    EXPECT_EQ(seen[i].detail, "n" + std::to_string(i + 1));
    EXPECT_THAT(seen[i].records, SizeIs(0)) << "a failed attempt has no effects";
  }
}

TEST_F(DispatcherTroubleTest, DelaysAreThePolicys) {
  own().policies.retry = {5, milliseconds(100'000), 2, milliseconds(1'000'000), 0.1};
  own().handle = [&](Delivery&) -> HandlerResult { return {Outcome::kRetry, "x"}; };
  start();
  for (int i = 0; i < 200; ++i) store_.add();
  ASSERT_TRUE(store_.wait_for_seen(200));
  int64_t least = INT64_MAX, most = 0;
  for (const auto& s : store_.seen()) {
    least = std::min(least, s.due_in);
    most = std::max(most, s.due_in);
  }
  EXPECT_GE(least, 90'000 - 10'000);  // it may have waited for the store
  EXPECT_LE(most, 110'000);
  EXPECT_GT(most - least, 5'000) << "no jitter";
}

TEST_F(DispatcherTroubleTest, AHandlerMaySayWhen) {
  own().policies.retry.cap = milliseconds(500'000);
  own().handle = [&](Delivery& d) -> HandlerResult {
    d.retry_after(d.seq() == 1 ? 300'000 : 10'000'000);
    return {Outcome::kRetry, "x"};
  };
  start();
  store_.add();
  store_.add();
  ASSERT_TRUE(store_.wait_for_seen(2));
  for (const auto& s : store_.seen())
    EXPECT_NEAR(static_cast<double>(s.due_in), s.delivery == 1 ? 300'000 : 500'000, 20'000);
}

// An upstream asks for haste, and the handler passes that on.
TEST_F(DispatcherTroubleTest, AHandlerCannotBurnTheAttempts) {
  own().policies.retry = {5, milliseconds(100'000), 2, milliseconds(1'000'000), 0};
  own().handle = [&](Delivery& d) -> HandlerResult {
    d.retry_after(0);
    return {Outcome::kRetry, "x"};
  };
  start();
  store_.add();
  ASSERT_TRUE(store_.wait_for_seen(1));
  EXPECT_NEAR(static_cast<double>(store_.seen()[0].due_in), 100'000, 20'000);
}

TEST_F(DispatcherTroubleTest, WorkersThatAreAllBusyLeaveTheRestIdle) {
  std::promise<void> busy, release;
  auto released = release.get_future().share();
  own().policies.retry.base = milliseconds(100);
  own().handle = [&](Delivery& d) -> HandlerResult {
    if (d.seq() == 1 && d.attempt() == 1) return {Outcome::kRetry, "due again while the only worker is busy"};
    if (d.seq() == 2) busy.set_value();
    released.wait_for(kPatience);
    return {};
  };
  start(1);
  store_.add();
  ASSERT_TRUE(store_.wait_for_seen(1));
  store_.add();
  busy.get_future().wait();
  std::clock_t before = std::clock();
  released.wait_for(std::chrono::milliseconds(600));  // a stretch of time in which nothing is to be done
  double used = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
  release.set_value();
  EXPECT_LT(used, 0.05) << "seconds of CPU while all wait";
  ASSERT_TRUE(store_.wait_for_seen(3));
}

// ---- breaker

TEST_F(DispatcherTroubleTest, TheBreakerOpensTriesOneAndCloses) {
  own().policies.breaker = {3, milliseconds(100)};
  own().policies.retry.attempts = 1;
  std::atomic<bool> healthy{false};
  own().handle = [&](Delivery& d) -> HandlerResult {
    calls_.add(text(d));
    return healthy ? HandlerResult{} : HandlerResult{Outcome::kRetry, "down"};
  };
  Subscriber& other = subscribe("other");
  other.handle = [](Delivery&) -> HandlerResult { return {}; };
  for (int i = 0; i < 20; ++i) store_.add();
  int64_t begin = steady_ms();
  start(1);
  ASSERT_TRUE(store_.wait_for_seen(3));
  EXPECT_NE(dispatcher_->status().subscribers[0].breaker, "closed");
  store_.add("", "other");  // not held
  ASSERT_TRUE(store_.wait_for_seen(6));
  EXPECT_GE(steady_ms() - begin, 200) << "two trials, each after its pause";
  healthy = true;
  ASSERT_TRUE(store_.wait_for_seen(21));
  EXPECT_EQ(dispatcher_->status().subscribers[0].breaker, "closed");
  EXPECT_EQ(dispatcher_->status().subscribers[0].failures, 0u);
}

// ---- deadlines

TEST_F(DispatcherTroubleTest, AHandlerThatHangsIsLeftBehind) {
  own().policies.deadline = milliseconds(250);
  own().policies.retry.attempts = 2;
  std::promise<void> release;
  auto released = release.get_future().share();
  std::promise<std::shared_ptr<Delivery>> hung;
  own().handle = [&](Delivery& d) -> HandlerResult {
    calls_.add(text(d));
    if (d.seq() != 1 || d.attempt() != 1) return {};
    EXPECT_TRUE(d.put_record("c", "hung", "1", 0));
    hung.set_value(d.shared_from_this());
    released.wait_for(kPatience);
    EXPECT_EQ(d.put_record("c", "late", "1", 0).code(), Code::kGone);
    EXPECT_EQ(d.emit("late", "{}").code(), Code::kGone);
    calls_.add("late");
    return {};
  };
  start(1);
  store_.add("k");
  store_.add("k");
  ASSERT_TRUE(store_.wait_for_seen(3));  // by the thread that took the place
  EXPECT_THAT(calls_.all(), ElementsAre("1.1", "1.2", "2.1"));
  EXPECT_EQ(dispatcher_->status().abandoned, 1u);
  auto seen = store_.seen();
  EXPECT_EQ(seen[0].kind, Kind::kRetry);
  EXPECT_EQ(seen[0].outcome, "timeout");
  EXPECT_THAT(seen[0].records, SizeIs(0));
  EXPECT_EQ(hung.get_future().get()->complete({}).code(), Code::kGone);
  EXPECT_FALSE(dispatcher_->stop(0)) << "a thread is still inside";
  release.set_value();
  ASSERT_TRUE(calls_.wait_for(4));
  while (!dispatcher_->stop(0)) std::this_thread::yield();
  EXPECT_THAT(store_.seen(), SizeIs(3));
}

TEST_F(DispatcherTroubleTest, APendingOneThatIsNeverCompletedTimesOut) {
  own().policies.deadline = milliseconds(20);
  own().policies.retry.attempts = 2;
  std::mutex mutex;
  std::vector<std::shared_ptr<Delivery>> held;
  own().handle = [&](Delivery& d) -> HandlerResult {
    std::lock_guard lock(mutex);
    held.push_back(d.shared_from_this());
    return {Outcome::kPending, {}};
  };
  start(1);
  store_.add();
  ASSERT_TRUE(store_.wait_for_seen(2));
  auto seen = store_.seen();
  EXPECT_EQ(seen[0].outcome, "timeout");
  EXPECT_EQ(seen[0].kind, Kind::kRetry);
  EXPECT_EQ(seen[1].kind, Kind::kDead);
  EXPECT_EQ(dispatcher_->status().abandoned, 0u) << "no thread was held";
  std::lock_guard lock(mutex);
  for (const auto& d : held) EXPECT_EQ(d->complete({}).code(), Code::kGone);
}

// ---- a store in trouble

TEST_F(DispatcherTroubleTest, AnEventThatCannotBeReadCostsNoAttempt) {
  std::atomic<int> reads{0};
  store_.on_event = [&](int64_t) { return ++reads == 1 ? Status(Code::kUnavailable, "locked") : Status::ok(); };
  own().handle = [&](Delivery& d) -> HandlerResult {
    calls_.add(text(d));
    return {};
  };
  store_.add("k");  // before the start: the event is not at hand
  start();
  ASSERT_TRUE(store_.wait_for_seen(1));
  EXPECT_THAT(calls_.all(), ElementsAre("1.1"));
  EXPECT_EQ(reads, 2);
}

TEST_F(DispatcherTroubleTest, AnOutcomeThatWasNotWrittenIsSubmittedAgain) {
  std::atomic<int> tries{0};
  store_.on_settlement = [&](const store::Settlement&) {
    return ++tries == 1 ? Status(Code::kUnavailable, "full") : Status::ok();
  };
  own().handle = [&](Delivery& d) -> HandlerResult {
    EXPECT_TRUE(d.put_record("c", "k", "1", 0));
    calls_.add(text(d));
    return {};
  };
  start();
  store_.add("k");
  store_.add("k");
  ASSERT_TRUE(store_.wait_for_seen(2));
  EXPECT_THAT(calls_.all(), ElementsAre("1.1", "2.1"));
  EXPECT_THAT(store_.seen()[0].records, SizeIs(1));
}

TEST_F(DispatcherTroubleTest, AConflictCostsNoAttemptAndKeepsTheKey) {
  std::atomic<int> tries{0};
  store_.on_settlement = [&](const store::Settlement& s) {
    return s.delivery == 1 && ++tries <= 10 ? Status(Code::kConflict, "another version") : Status::ok();
  };
  own().handle = [&](Delivery& d) -> HandlerResult {
    calls_.add(text(d));
    return {};
  };
  start();
  store_.add("k");
  store_.add("k");
  ASSERT_TRUE(store_.wait_for_seen(2));
  auto calls = calls_.all();
  ASSERT_THAT(calls, SizeIs(12));
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "1.1"), 11);
  EXPECT_EQ(calls.back(), "2.1");
}

// A handler that expects the wrong version every time (a bug, or a record that it never read) must not take a CPU and
// the disk.
TEST_F(DispatcherTroubleTest, AConflictThatNeverEndsIsNoStorm) {
  std::atomic<bool> over{false};
  store_.on_settlement = [&](const store::Settlement&) {
    return over ? Status::ok() : Status(Code::kConflict, "another version");
  };
  std::atomic<int> runs{0};
  own().handle = [&](Delivery&) -> HandlerResult {
    ++runs;
    return {};
  };
  start(1);
  store_.add();
  std::promise<void> never;
  never.get_future().wait_for(std::chrono::milliseconds(500));  // a stretch of time to count in
  int counted = runs;
  over = true;
  ASSERT_TRUE(store_.wait_for_seen(1));
  EXPECT_LT(counted, 200);
}

store::TimerWrite some_timer() {
  store::TimerWrite timer;
  timer.name = "t";
  timer.delay_ms = 5000;
  return timer;
}

TEST_F(DispatcherTroubleTest, TimersAreEffects) {
  own().handle = [](Delivery& d) -> HandlerResult {
    EXPECT_TRUE(d.write_timer(some_timer()));
    return {d.attempt() == 1 ? Outcome::kRetry : Outcome::kDone, "first"};
  };
  start();
  store_.add();
  ASSERT_TRUE(store_.wait_for_seen(2));
  EXPECT_THAT(store_.seen()[0].timers, IsEmpty());
  ASSERT_THAT(store_.seen()[1].timers, SizeIs(1));
  EXPECT_EQ(store_.seen()[1].timers[0].name, "t");
}

// What the handler wants kept is more than its plugin may have: that attempt has failed, and later there may be room.
TEST_F(DispatcherTroubleTest, TooManyTimersAreAFailedAttempt) {
  std::atomic<int> refused{0};
  store_.on_settlement = [&](const store::Settlement& s) {
    bool full = !s.timers.empty() && ++refused <= 2;
    return full ? Status(Code::kLimit, "too many timers") : Status::ok();
  };
  own().handle = [](Delivery& d) -> HandlerResult {
    EXPECT_TRUE(d.write_timer(some_timer()));
    EXPECT_TRUE(d.put_record("c", "k", "1", store::kAnyVersion));
    EXPECT_TRUE(d.emit("acme.other", "{}"));
    EXPECT_TRUE(d.set_result("1"));
    return {};
  };
  start();
  store_.add();
  ASSERT_TRUE(store_.wait_for_seen(3));
  auto seen = store_.seen();
  for (int i : {0, 1}) {
    EXPECT_EQ(seen[i].kind, Kind::kRetry);
    EXPECT_EQ(seen[i].attempts, static_cast<uint32_t>(i + 1));
    EXPECT_EQ(seen[i].outcome, "retry");
    EXPECT_EQ(seen[i].detail, "too many timers");
    EXPECT_THAT(seen[i].records, IsEmpty());
    EXPECT_THAT(seen[i].emitted, IsEmpty());
    EXPECT_EQ(seen[i].result, "");
  }
  EXPECT_EQ(seen[2].kind, Kind::kDone);
  EXPECT_EQ(seen[2].attempts, 3u);
  EXPECT_THAT(seen[2].records, SizeIs(1));
  EXPECT_EQ(dispatcher_->status().subscribers[0].last_error, "too many timers");
}

TEST_F(DispatcherTroubleTest, AndItsLastAttemptIsItsDeath) {
  store_.on_settlement = [](const store::Settlement& s) {
    return s.timers.empty() ? Status::ok() : Status(Code::kLimit, "too many timers");
  };
  own().handle = [](Delivery& d) -> HandlerResult {
    EXPECT_TRUE(d.write_timer(some_timer()));
    return {};
  };
  own().policies.retry.attempts = 1;
  start();
  store_.add();
  ASSERT_TRUE(store_.wait_for_seen(1));
  EXPECT_EQ(store_.seen()[0].kind, Kind::kDead);
  EXPECT_EQ(store_.seen()[0].detail, "too many timers");
}

TEST_F(DispatcherTroubleTest, OneThatIsGoneReleasesItsKey) {
  store_.on_settlement = [](const store::Settlement& s) {
    return s.delivery == 1 ? Status(Code::kGone, "settled") : Status::ok();
  };
  own().handle = [](Delivery&) -> HandlerResult { return {}; };
  start();
  store_.add("k");
  store_.add("k");
  ASSERT_TRUE(store_.wait_for_seen(1));
  EXPECT_EQ(store_.seen()[0].delivery, 2);
}

}  // namespace
}  // namespace postern::dispatch
