// Deliveries that may have ended an earlier life of the gateway: before all others, one at a time.
#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "core/dispatch/dispatcher.h"
#include "tests/support/eventually.h"
#include "tests/unit/dispatch/fake_store.h"

namespace postern::dispatch {
namespace {

using config::milliseconds;
using postern::testing::eventually;
using ::testing::ElementsAre;
using ::testing::IsSupersetOf;

// What the record of crashes would be told.
class Watch final : public SuspectWatch {
 public:
  void try_alone(int64_t delivery) override { add("try " + std::to_string(delivery)); }
  void acquit(int64_t delivery) override { add("acquit " + std::to_string(delivery)); }
  void add(std::string what) {
    std::lock_guard lock(mutex_);
    all_.push_back(std::move(what));
  }
  std::vector<std::string> all() {
    std::lock_guard lock(mutex_);
    return all_;
  }

 private:
  std::mutex mutex_;
  std::vector<std::string> all_;
};

class SuspectsTest : public ::testing::Test {
 protected:
  SuspectsTest() {
    subscribe("handlers");
    roster_->targets.add_handlers("acme", "handlers", {"acme.*"});
  }
  ~SuspectsTest() override {
    if (dispatcher_) {
      EXPECT_TRUE(eventually(milliseconds(60'000), [this] { return dispatcher_->stop(100); }));  // who hung comes back later
    }
    store_.stop();
  }

  Subscriber& subscribe(const std::string& name) {
    Subscriber& s = roster_->subscribers.emplace_back();
    s.plugin = "acme";
    s.name = name;
    s.policies.retry = {5, milliseconds(1), 1, milliseconds(60'000), 0};
    s.policies.breaker = {1000, milliseconds(30'000)};
    s.policies.deadline = milliseconds(60'000);
    s.handle = [this](Delivery& d) { return handle(d); };
    return s;
  }
  HandlerResult handle(Delivery& d) {
    size_t beside = running_.fetch_add(1);
    watch_.add("run " + std::to_string(d.seq()) + (beside > 0 ? " beside" : ""));
    HandlerResult result = act_ ? act_(d) : HandlerResult{};
    running_.fetch_sub(1);
    return result;
  }
  void start(std::vector<int64_t> suspects) {
    dispatcher_ = std::make_unique<Dispatcher>(roster_, store_, 4);
    ASSERT_TRUE(store_.start(*dispatcher_, *dispatcher_, [](const Status&) {}));
    ASSERT_TRUE(dispatcher_->run_first(suspects, watch_));
    dispatcher_->start();
  }
  std::vector<std::string> first(size_t count) {
    auto all = watch_.all();
    all.resize(std::min(all.size(), count));
    return all;
  }

  std::shared_ptr<Roster> roster_ = std::make_shared<Roster>();
  testing::FakeStore store_;
  Watch watch_;
  std::atomic<size_t> running_{0};
  std::atomic<bool> go_on_{false};  // outlives handlers that hang
  std::function<HandlerResult(Delivery&)> act_;
  std::unique_ptr<Dispatcher> dispatcher_;
};

TEST_F(SuspectsTest, RunBeforeOthersOneAtATime) {
  for (int i = 0; i < 40; ++i) store_.add();
  start({35, 20, 30});
  ASSERT_TRUE(store_.wait_for_seen(40));
  EXPECT_THAT(first(9), ElementsAre("try 35", "run 35", "acquit 35", "try 20", "run 20", "acquit 20", "try 30", "run 30", "acquit 30"));
  std::set<std::string> ran;
  for (const std::string& what : watch_.all()) {
    if (what.starts_with("run ")) {
      EXPECT_TRUE(ran.insert(what.substr(0, what.find(' ', 4))).second) << what << " twice";
    }
  }
  EXPECT_EQ(ran.size(), 40u);
}

TEST_F(SuspectsTest, WhatIsSettledOrGoneIsNotWaitedFor) {
  for (int i = 0; i < 3; ++i) store_.add();
  start({99, 2});
  ASSERT_TRUE(store_.wait_for_seen(3));
  EXPECT_THAT(first(4), ElementsAre("acquit 99", "try 2", "run 2", "acquit 2"));
}

TEST_F(SuspectsTest, OneWhoseSubscriberIsGoneIsNotWaitedFor) {
  store_.add("", "nobody");
  store_.add();
  start({1});
  ASSERT_TRUE(store_.wait_for_seen(1));
  EXPECT_THAT(watch_.all(), ElementsAre("acquit 1", "run 2"));
}

TEST_F(SuspectsTest, OneOfAPluginThatIsHeldWaitsLikeTheOthersOfIt) {
  subscribe("held").held = true;
  store_.add("", "held");
  store_.add("", "held");
  store_.add();
  start({1});
  ASSERT_TRUE(store_.wait_for_seen(1));
  store_.add();
  ASSERT_TRUE(store_.wait_for_seen(2));
  EXPECT_THAT(watch_.all(), ElementsAre("acquit 1", "run 3", "run 4"));
  EXPECT_EQ(store_.open(), 2u);
}

TEST_F(SuspectsTest, TakesUpAfterAReloadWhatWasHeld) {
  subscribe("held").held = true;
  store_.add("", "held");
  start({});
  auto next = std::make_shared<Roster>();
  next->subscribers = roster_->subscribers;
  next->subscribers.back().held = false;
  dispatcher_->adopt(next);
  EXPECT_TRUE(store_.wait_for_seen(1));
}

TEST_F(SuspectsTest, OneThatWantsToBeTriedAgainHoldsUpNobody) {
  act_ = [](Delivery& d) { return d.seq() == 1 && d.attempt() < 3 ? HandlerResult{HandlerOutcome::kRetry, "again"} : HandlerResult{}; };
  for (int i = 0; i < 10; ++i) store_.add();
  start({1, 2});
  ASSERT_TRUE(store_.wait_for_seen(12));
  EXPECT_THAT(first(6), ElementsAre("try 1", "run 1", "acquit 1", "try 2", "run 2", "acquit 2"));
  EXPECT_EQ(store_.open(), 0u);
}

TEST_F(SuspectsTest, OneThatHangsIsWaitedForUntilItsDeadline) {
  roster_->subscribers.front().policies.deadline = milliseconds(50);
  act_ = [this](Delivery& d) {
    if (d.seq() == 1 && d.attempt() == 1) go_on_.wait(false);
    return HandlerResult{};
  };
  for (int i = 0; i < 5; ++i) store_.add();
  start({1});
  EXPECT_TRUE(store_.wait_for_seen(6));  // its timeout, and all five done
  go_on_ = true;
  go_on_.notify_all();
  EXPECT_THAT(first(2), ElementsAre("try 1", "run 1"));
  EXPECT_THAT(watch_.all(), IsSupersetOf({"acquit 1"}));
}

TEST_F(SuspectsTest, OneThatIsPendingIsNotWaitedFor) {
  std::atomic<Delivery*> pending{nullptr};
  act_ = [&](Delivery& d) {
    if (d.seq() != 1) return HandlerResult{};
    pending = &d;
    return HandlerResult{HandlerOutcome::kPending, {}};
  };
  for (int i = 0; i < 5; ++i) store_.add();
  start({1});
  ASSERT_TRUE(store_.wait_for_seen(4));
  ASSERT_TRUE(pending.load()->complete({}));
  ASSERT_TRUE(store_.wait_for_seen(5));
  EXPECT_THAT(first(3), ElementsAre("try 1", "run 1", "acquit 1"));
  EXPECT_EQ(store_.open(), 0u);
}

TEST_F(SuspectsTest, KeepsItsPlaceBeforeOthersOfItsKey) {
  for (int i = 0; i < 6; ++i) store_.add("key");
  start({1});
  ASSERT_TRUE(store_.wait_for_seen(6));
  EXPECT_THAT(watch_.all(), ElementsAre("try 1", "run 1", "acquit 1", "run 2", "run 3", "run 4", "run 5", "run 6"));
}

TEST_F(SuspectsTest, OneThatWasReplayedComesOnce) {
  store_.add();
  store_.add();
  auto again = store_.reopen(1);
  act_ = [this](Delivery& d) {
    if (d.seq() == 1) go_on_.wait(false);  // not settled before it comes again
    return HandlerResult{};
  };
  start({1});
  dispatcher_->requeue({again});
  go_on_ = true;
  go_on_.notify_all();
  ASSERT_TRUE(store_.wait_for_seen(2));
  EXPECT_THAT(first(3), ElementsAre("try 1", "run 1", "acquit 1"));
  // The store tells the dispatcher of a settlement before anybody can replay it.
  ASSERT_TRUE(eventually(milliseconds(10'000), [this] { return dispatcher_->status().loaded == 0; }));
  dispatcher_->requeue({store_.reopen(1)});  // once more, later
  ASSERT_TRUE(store_.wait_for_seen(3));
  std::vector<std::string> all = watch_.all();
  EXPECT_EQ(std::count(all.begin(), all.end(), "run 1"), 2);
}

TEST_F(SuspectsTest, OneThatCannotBeReadIsNotWaitedFor) {
  std::atomic<int> faults{0};
  store_.on_event = [&](int64_t) { return faults.load() > 0 && faults.fetch_sub(1) > 0 ? Status(Code::kIo, "no") : Status::ok(); };
  store_.add();
  store_.add();
  dispatcher_ = std::make_unique<Dispatcher>(roster_, store_, 4);
  ASSERT_TRUE(store_.start(*dispatcher_, *dispatcher_, [](const Status&) {}));
  ASSERT_TRUE(dispatcher_->run_first({1}, watch_));
  faults = 1;
  dispatcher_->start();
  ASSERT_TRUE(store_.wait_for_seen(2));
  EXPECT_THAT(watch_.all(), ElementsAre("acquit 1", "run 2", "run 1"));
}

}  // namespace
}  // namespace postern::dispatch
