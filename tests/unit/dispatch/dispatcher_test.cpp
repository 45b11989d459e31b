// The dispatcher over a store in memory, which can be held and made to fail.
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

// What handlers did, in order. Thread-safety: any thread.
class Calls {
 public:
  void add(std::string what) {
    std::lock_guard lock(mutex_);
    all_.push_back(std::move(what));
    changed_.notify_all();
  }
  bool wait_for(size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return all_.size() >= count; });
  }
  std::vector<std::string> all() {
    std::lock_guard lock(mutex_);
    return all_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> all_;
};

class DispatcherTest : public testing::DispatcherHarness {
 protected:
  ~DispatcherTest() override {
    if (dispatcher_) {
      EXPECT_TRUE(dispatcher_->stop(60'000));  // before what the handlers write to
    }
  }
  static std::string text(const Delivery& d) { return std::to_string(d.seq()) + "." + std::to_string(d.attempt()); }

  Calls calls_;
};

TEST_F(DispatcherTest, RunsEachOnceAndGivesItsEffects) {
  own().handle = [&](Delivery& d) -> HandlerResult {
    EXPECT_EQ(d.attempt(), 1u);
    EXPECT_TRUE(d.emit("acme.sub", "{}"));
    EXPECT_TRUE(d.put_record("c", text(d), "1", 0));
    EXPECT_TRUE(d.set_result("\"r\""));
    calls_.add(text(d));
    return {};
  };
  for (int i = 0; i < 50; ++i) store_.add();
  start();
  for (int i = 0; i < 50; ++i) store_.add();
  ASSERT_TRUE(store_.wait_for_seen(100));
  auto seen = store_.seen();
  std::set<int64_t> distinct;
  for (const auto& s : seen) {
    distinct.insert(s.delivery);
    EXPECT_EQ(s.kind, Kind::kDone);
    ASSERT_THAT(s.emitted, SizeIs(1));
    EXPECT_EQ(s.emitted[0].depth, 1u);
    EXPECT_GT(s.emitted[0].received_at, 0);
    EXPECT_THAT(*s.emitted[0].targets, SizeIs(1));
    EXPECT_THAT(s.records, SizeIs(1));
    EXPECT_EQ(s.result, "\"r\"");
  }
  EXPECT_EQ(distinct.size(), 100u);
  EXPECT_EQ(store_.open(), 0u);
}

// ---- order

TEST_F(DispatcherTest, OneOfAKeyAtATimeAndInOrder) {
  constexpr int kKeys = 20, kEach = 100;
  std::vector<std::atomic<int>> inside(kKeys);
  std::vector<std::atomic<int64_t>> last(kKeys);
  std::atomic<int> wrong{0};
  own().handle = [&](Delivery& d) -> HandlerResult {
    auto key = static_cast<size_t>(std::stoi(d.event().order_key));
    if (inside[key].fetch_add(1) != 0) ++wrong;
    if (last[key].exchange(d.seq()) > d.seq()) ++wrong;
    std::this_thread::yield();
    inside[key].fetch_sub(1);
    // Every seventh fails at first: its followers must wait.
    return d.seq() % 7 == 0 && d.attempt() < 3 ? HandlerResult{Outcome::kRetry, "once more"} : HandlerResult{};
  };
  start(8);
  for (int i = 0; i < kKeys * kEach; ++i) store_.add(std::to_string(i % kKeys));
  auto all_settled = [&] { return store_.open() == 0; };
  for (size_t seen = 1; !all_settled(); ++seen) ASSERT_TRUE(store_.wait_for_seen(seen));
  EXPECT_EQ(wrong, 0);
}

TEST_F(DispatcherTest, DifferentKeysRunTogether) {
  std::atomic<int> inside{0};
  std::promise<void> both;
  auto both_are_in = both.get_future().share();
  own().handle = [&](Delivery&) -> HandlerResult {
    if (++inside == 2) both.set_value();
    return both_are_in.wait_for(kPatience) == std::future_status::ready ? HandlerResult{}
                                                                        : HandlerResult{Outcome::kDead, "alone"};
  };
  start(2);
  store_.add("a");
  store_.add("b");
  ASSERT_TRUE(store_.wait_for_seen(2));
  for (const auto& s : store_.seen()) EXPECT_EQ(s.kind, Kind::kDone);
}

TEST_F(DispatcherTest, ADeadOneReleasesItsKey) {
  own().handle = [&](Delivery& d) -> HandlerResult {
    calls_.add(text(d));
    return d.seq() == 1 ? HandlerResult{Outcome::kDead, "bad"} : HandlerResult{};
  };
  start();
  store_.add("k");
  store_.add("k");
  ASSERT_TRUE(store_.wait_for_seen(2));
  EXPECT_THAT(calls_.all(), ElementsAre("1.1", "2.1"));
  auto seen = store_.seen();
  EXPECT_EQ(seen[0].kind, Kind::kDead);
  EXPECT_EQ(seen[0].outcome, "dead");
  EXPECT_EQ(seen[0].detail, "bad");
}

TEST_F(DispatcherTest, APendingOneHoldsItsKeyAndNoThread) {
  std::promise<std::shared_ptr<Delivery>> first;
  own().handle = [&](Delivery& d) -> HandlerResult {
    calls_.add(text(d));
    if (d.seq() != 1) return {};
    first.set_value(d.shared_from_this());
    return {Outcome::kPending, {}};
  };
  start(1);
  store_.add("k");
  store_.add("k");
  store_.add("other");
  std::shared_ptr<Delivery> delivery = first.get_future().get();
  ASSERT_TRUE(store_.wait_for_seen(1));
  EXPECT_THAT(calls_.all(), ElementsAre("1.1", "3.1"));
  EXPECT_EQ(dispatcher_->status().running, 1u);
  EXPECT_TRUE(delivery->put_record("c", "k", "1", 0));
  EXPECT_TRUE(delivery->complete({Outcome::kDone, {}}));
  ASSERT_TRUE(store_.wait_for_seen(3));
  EXPECT_THAT(calls_.all(), ElementsAre("1.1", "3.1", "2.1"));
  EXPECT_THAT(store_.seen()[1].records, SizeIs(1));
  EXPECT_EQ(delivery->complete({}).code(), Code::kGone);
}

TEST_F(DispatcherTest, CompletedBeforeItReturns) {
  own().handle = [&](Delivery& d) -> HandlerResult {
    std::thread([delivery = d.shared_from_this()] { EXPECT_TRUE(delivery->complete({Outcome::kDone, {}})); }).join();
    EXPECT_EQ(d.emit("t", "{}").code(), Code::kGone);
    return {Outcome::kPending, {}};
  };
  start();
  store_.add();
  ASSERT_TRUE(store_.wait_for_seen(1));
  EXPECT_EQ(store_.seen()[0].kind, Kind::kDone);
  EXPECT_EQ(dispatcher_->status().running, 0u);
}

TEST_F(DispatcherTest, CompletionsFromManyThreads) {
  constexpr size_t kMany = 500;
  std::mutex mutex;
  std::vector<std::thread> threads;
  own().handle = [&](Delivery& d) -> HandlerResult {
    std::lock_guard lock(mutex);
    threads.emplace_back([delivery = d.shared_from_this()] {
      static_cast<void>(delivery->complete({Outcome::kDone, {}}));
    });
    return {Outcome::kPending, {}};
  };
  start(8);
  for (size_t i = 0; i < kMany; ++i) store_.add(std::to_string(i % 50));
  ASSERT_TRUE(store_.wait_for_seen(kMany));
  std::lock_guard lock(mutex);
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(threads.size(), kMany);
}

// ---- retries

TEST_F(DispatcherTest, TriesAsOftenAsThePolicySays) {
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

TEST_F(DispatcherTest, DelaysAreThePolicys) {
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

TEST_F(DispatcherTest, AHandlerMaySayWhen) {
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
TEST_F(DispatcherTest, AHandlerCannotBurnTheAttempts) {
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

TEST_F(DispatcherTest, WorkersThatAreAllBusyLeaveTheRestIdle) {
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

TEST_F(DispatcherTest, TheBreakerOpensTriesOneAndCloses) {
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

TEST_F(DispatcherTest, AHandlerThatHangsIsLeftBehind) {
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

TEST_F(DispatcherTest, APendingOneThatIsNeverCompletedTimesOut) {
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

TEST_F(DispatcherTest, AnEventThatCannotBeReadCostsNoAttempt) {
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

TEST_F(DispatcherTest, AnOutcomeThatWasNotWrittenIsSubmittedAgain) {
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

TEST_F(DispatcherTest, AConflictCostsNoAttemptAndKeepsTheKey) {
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
TEST_F(DispatcherTest, AConflictThatNeverEndsIsNoStorm) {
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

TEST_F(DispatcherTest, TimersAreEffects) {
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
TEST_F(DispatcherTest, TooManyTimersAreAFailedAttempt) {
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

TEST_F(DispatcherTest, AndItsLastAttemptIsItsDeath) {
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

TEST_F(DispatcherTest, OneThatIsGoneReleasesItsKey) {
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

// ---- many, none, and nobody

TEST_F(DispatcherTest, MoreThanItCanHold) {
  constexpr int64_t kMany = 130'000, kKeys = 100;
  std::vector<std::atomic<int64_t>> last(kKeys);
  std::atomic<int64_t> wrong{0}, runs{0};
  own().handle = [&](Delivery& d) -> HandlerResult {
    auto key = static_cast<size_t>(std::stoi(d.event().order_key));
    if (last[key].exchange(d.seq()) >= d.seq()) ++wrong;
    ++runs;
    return {};
  };
  for (int64_t i = 0; i < kMany; ++i) store_.add(std::to_string(i % kKeys));
  start(4);
  for (int64_t i = 0; i < 10'000; ++i) store_.add(std::to_string(i % kKeys));
  ASSERT_TRUE(store_.wait_for_seen(static_cast<size_t>(kMany) + 10'000));
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(runs, kMany + 10'000);
  EXPECT_EQ(store_.open(), 0u);
}

TEST_F(DispatcherTest, OrphansWait) {
  own().handle = [](Delivery&) -> HandlerResult { return {}; };
  store_.add("", "handlers", "gone");
  store_.add("", "no such subscription");
  store_.add();
  start();
  ASSERT_TRUE(store_.wait_for_seen(1));
  EXPECT_EQ(dispatcher_->status().orphans, 2u);
  EXPECT_EQ(store_.open(), 2u);
}

// ---- waiting for results

class AwaitTest : public DispatcherTest {
 protected:
  // The numbers are those that add() will give.
  void await(int64_t event) {
    dispatcher_->await(event, [this, event](std::optional<std::string> result) {
      calls_.add(std::to_string(event) + "=" + result.value_or("(nothing)"));
    });
  }
};

TEST_F(AwaitTest, TheResultOrThatThereIsNone) {
  own().handle = [](Delivery& d) -> HandlerResult {
    if (d.seq() == 1) static_cast<void>(d.set_result("\"r\""));
    if (d.seq() == 2) return {Outcome::kDead, "bad"};
    if (d.seq() == 4 && d.attempt() == 1) return {Outcome::kRetry, "once more"};
    return {};
  };
  start(1);
  for (int64_t event = 1; event <= 4; ++event) await(event);
  for (int i = 0; i < 4; ++i) store_.add();
  ASSERT_TRUE(calls_.wait_for(4));
  auto calls = calls_.all();
  std::sort(calls.begin(), calls.end());
  EXPECT_THAT(calls, ElementsAre("1=\"r\"", "2=(nothing)", "3=", "4="));
}

TEST_F(AwaitTest, ForgottenAndUnknownOnes) {
  own().handle = [](Delivery&) -> HandlerResult { return {}; };
  start(1);
  await(1);
  dispatcher_->forget(1);
  dispatcher_->forget(77);
  await(2);
  store_.add();
  store_.add();
  ASSERT_TRUE(calls_.wait_for(1));
  EXPECT_THAT(calls_.all(), ElementsAre("2="));
}

TEST_F(AwaitTest, ASubscriptionDoesNotAnswer) {
  own().handle = [](Delivery& d) -> HandlerResult {
    static_cast<void>(d.set_result("\"own\""));
    return {};
  };
  Subscriber& other = subscribe("mail");
  other.with_json = "{}";
  other.handle = [](Delivery& d) -> HandlerResult {
    static_cast<void>(d.set_result("\"other\""));
    return {};
  };
  start(1);
  await(1);
  store_.add("", "mail");
  ASSERT_TRUE(store_.wait_for_seen(1));
  await(2);
  store_.add();
  ASSERT_TRUE(calls_.wait_for(1));
  EXPECT_THAT(calls_.all(), ElementsAre("2=\"own\""));
}

// ---- the end

TEST_F(DispatcherTest, StoppingWaitsForWhatRunsAndStartsNothing) {
  std::promise<void> is_in;
  std::promise<void> release;
  auto released = release.get_future().share();
  own().handle = [&](Delivery& d) -> HandlerResult {
    calls_.add(text(d));
    if (d.seq() == 1) is_in.set_value();
    released.wait_for(kPatience);
    return {};
  };
  start(1);
  for (int i = 0; i < 5; ++i) store_.add();
  is_in.get_future().wait();
  auto stopped = std::async(std::launch::async, [&] { return dispatcher_->stop(60'000); });
  EXPECT_EQ(stopped.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  release.set_value();
  EXPECT_TRUE(stopped.get());
  store_.stop();
  EXPECT_THAT(calls_.all(), ElementsAre("1.1"));
  EXPECT_THAT(store_.seen(), SizeIs(1));
  EXPECT_EQ(store_.open(), 4u);
}

TEST_F(DispatcherTest, StoppingWaitsForAPendingOne) {
  std::promise<std::shared_ptr<Delivery>> pending;
  own().handle = [&](Delivery& d) -> HandlerResult {
    pending.set_value(d.shared_from_this());
    return {Outcome::kPending, {}};
  };
  start(1);
  store_.add();
  auto delivery = pending.get_future().get();
  auto stopped = std::async(std::launch::async, [&] { return dispatcher_->stop(60'000); });
  EXPECT_EQ(stopped.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  EXPECT_TRUE(delivery->complete({}));
  EXPECT_TRUE(stopped.get());
  store_.stop();
  EXPECT_THAT(store_.seen(), SizeIs(1));
}

// Its plugin's timer may fire at any time after: the handle stays valid and answers that it is too late.
TEST_F(DispatcherTest, APendingOneThatOutlivesTheDispatcherIsGone) {
  std::promise<std::shared_ptr<Delivery>> pending;
  own().handle = [&](Delivery& d) -> HandlerResult {
    pending.set_value(d.shared_from_this());
    return {Outcome::kPending, {}};
  };
  start(1);
  store_.add();
  auto delivery = pending.get_future().get();
  EXPECT_TRUE(dispatcher_->stop(10));
  store_.stop();
  EXPECT_EQ(delivery->emit("t", "{}").code(), Code::kGone);
  EXPECT_EQ(delivery->complete({}).code(), Code::kGone);
  dispatcher_.reset();
  EXPECT_THAT(store_.seen(), SizeIs(0));
}

TEST_F(DispatcherTest, StopsWithNothingToDo) {
  own().handle = [](Delivery&) -> HandlerResult { return {}; };
  start(8);
  EXPECT_TRUE(dispatcher_->stop(60'000));
}

}  // namespace
}  // namespace postern::dispatch
