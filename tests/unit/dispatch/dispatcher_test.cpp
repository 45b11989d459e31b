// The dispatcher over a store in memory, which can be held and made to fail.
#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <ctime>
#include <future>
#include <set>

#include "tests/support/eventually.h"
#include "tests/unit/dispatch/dispatcher_harness.h"

namespace postern::dispatch {
namespace {

using config::milliseconds;
using Kind = store::Settlement::Kind;
using Outcome = HandlerOutcome;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using postern::testing::eventually;


constexpr std::chrono::seconds kPatience{60};

using DispatcherTest = testing::DispatcherHarness;

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
  EXPECT_TRUE(eventually(kPatience, [&] { return dispatcher_->status().orphans == 2; }));
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
