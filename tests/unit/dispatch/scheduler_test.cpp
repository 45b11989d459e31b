#include "core/dispatch/scheduler.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace postern::dispatch {
namespace {

using config::milliseconds;
using store::OpenDelivery;

constexpr int64_t kWall = 1'700'000'000'000;

class SchedulerTest : public ::testing::Test {
 protected:
  SchedulerTest() {
    for (const char* name : {"a", "b"}) {
      Subscriber s;
      s.plugin = "acme";
      s.name = name;
      s.policies.breaker = {2, milliseconds(100)};
      s.policies.retry.cap = milliseconds(60'000);
      subscribers_.push_back(std::move(s));
    }
    make();
  }
  void make(bool loaded = true) {
    scheduler_ = std::make_unique<Scheduler>();
    scheduler_->adopt(roster_);
    EXPECT_FALSE(scheduler_->wanted_page()) << "before it knows of the store";
    store::OpenSummary summary;
    for (const Subscriber& s : subscribers_) {
      if (!loaded) summary.counts.push_back({s.plugin, s.name, 1, 1});
    }
    scheduler_->begin(summary);
    EXPECT_EQ(scheduler_->wanted_page().has_value(), !loaded && !subscribers_.empty());
  }
  // What the store answers to the page that is wanted now.
  void load(std::vector<OpenDelivery> deliveries, int64_t up_to, bool whole) {
    auto wanted = scheduler_->wanted_page();
    ASSERT_TRUE(wanted);
    ASSERT_LE(deliveries.size(), wanted->limit);
    scheduler_->load(*wanted, {std::move(deliveries), up_to, whole}, now_, kWall);
  }
  // The same, of a store in which everything up to `newest` is open, in turns of the subscribers where there are `subscribers` of them.
  void load_from(int64_t newest, int64_t subscribers = 1) {
    auto wanted = scheduler_->wanted_page();
    std::vector<OpenDelivery> page;
    for (int64_t i = wanted->after + 1; i <= newest && page.size() < wanted->limit; ++i) {
      if (i % subscribers == static_cast<int64_t>(wanted->subscriber) % subscribers) page.push_back(of(i, subscribers));
    }
    bool whole = page.size() < wanted->limit;
    int64_t up_to = whole ? newest : page.back().seq;
    load(std::move(page), up_to, whole);
  }
  static OpenDelivery of(int64_t seq, int64_t subscribers) { return delivery(seq, "", seq % subscribers == 0 ? "a" : "b"); }
  static OpenDelivery delivery(int64_t seq, const std::string& key = "", const char* subscriber = "a",
                               int64_t due_in = 0) {
    OpenDelivery d;
    d.seq = d.event_seq = seq;
    d.plugin = "acme";
    d.subscriber = subscriber;
    d.provider = "acme";
    d.order_key = key;
    d.due_at = kWall + due_in;
    return d;
  }
  void add(OpenDelivery d) { scheduler_->add(std::move(d), now_, kWall); }
  void requeue(OpenDelivery d) {
    d.replayed_at = kWall;
    scheduler_->requeue(std::move(d), now_, kWall);
  }
  int64_t next() {
    auto entry = scheduler_->next(now_);
    if (!entry) return 0;
    out_[entry->seq] = *entry;
    return entry->seq;
  }
  void release(int64_t seq) { scheduler_->release(out_.at(seq), now_); }

  std::shared_ptr<Roster> roster_ = std::make_shared<Roster>();
  std::vector<Subscriber>& subscribers_ = roster_->subscribers;
  std::unique_ptr<Scheduler> scheduler_;
  std::map<int64_t, Scheduler::Entry> out_;
  int64_t now_ = 1000;
};

TEST_F(SchedulerTest, GivesInOrder) {
  for (int64_t i = 1; i <= 3; ++i) add(delivery(i));
  for (int64_t i = 1; i <= 3; ++i) EXPECT_EQ(next(), i);
  EXPECT_EQ(next(), 0);
  EXPECT_FALSE(scheduler_->wake_at_ms());
}

TEST_F(SchedulerTest, OneOfAKeyAtATime) {
  add(delivery(1, "k"));
  add(delivery(2, "k"));
  add(delivery(3, "other"));
  EXPECT_EQ(next(), 1);
  EXPECT_EQ(next(), 3);
  EXPECT_EQ(next(), 0);
  release(1);
  EXPECT_EQ(next(), 2);
  release(2);
  add(delivery(4, "k"));
  EXPECT_EQ(next(), 4);
}

TEST_F(SchedulerTest, AKeyIsOfOneSubscriberAndOneProvider) {
  add(delivery(1, "k"));
  add(delivery(2, "k", "b"));
  OpenDelivery d = delivery(3, "k");
  d.provider = "another";
  add(std::move(d));
  std::set<int64_t> given;
  for (int i = 0; i < 3; ++i) given.insert(next());
  EXPECT_EQ(given, (std::set<int64_t>{1, 2, 3}));
}

TEST_F(SchedulerTest, AnUnorderedSubscriberHasNoKeys) {
  subscribers_[0].ordered = false;
  make();
  add(delivery(1, "k"));
  add(delivery(2, "k"));
  EXPECT_EQ(next(), 1);
  EXPECT_EQ(next(), 2);
}

TEST_F(SchedulerTest, ARetryKeepsItsKey) {
  add(delivery(1, "k"));
  add(delivery(2, "k"));
  EXPECT_EQ(next(), 1);
  scheduler_->retry(out_.at(1), now_ + 50);
  EXPECT_EQ(next(), 0);
  EXPECT_EQ(scheduler_->wake_at_ms(), now_ + 50);
  now_ += 50;
  EXPECT_EQ(next(), 1);
  EXPECT_EQ(next(), 0);
  release(1);
  EXPECT_EQ(next(), 2);
}

TEST_F(SchedulerTest, ARetryFromBeforeARestartKeepsItsKey) {
  add(delivery(1, "k", "a", 50));
  add(delivery(2, "k"));
  EXPECT_EQ(next(), 0);
  now_ += 50;
  EXPECT_EQ(next(), 1);
  EXPECT_EQ(next(), 0);
}

TEST_F(SchedulerTest, AClockThatWasSetDelaysByTheCapAtMost) {
  add(delivery(1, "", "a", 365ll * 24 * 3600 * 1000));
  add(delivery(2, "", "a", -365ll * 24 * 3600 * 1000));
  EXPECT_EQ(next(), 2);
  EXPECT_EQ(scheduler_->wake_at_ms(), now_ + 60'000);
}

TEST_F(SchedulerTest, SubscribersTakeTurns) {
  for (int64_t i = 1; i <= 10; ++i) add(delivery(i));
  for (int64_t i = 11; i <= 12; ++i) add(delivery(i, "", "b"));
  std::set<int64_t> given;
  for (int i = 0; i < 4; ++i) given.insert(next());
  EXPECT_TRUE(given.contains(11) && given.contains(12));
}

TEST_F(SchedulerTest, AnOpenBreakerHoldsItsSubscriberOnly) {
  Scheduler::Entry run;  // of subscriber 0
  for (int i = 0; i < 2; ++i) scheduler_->on_failure(run, now_);
  add(delivery(1));
  add(delivery(2, "", "b"));
  EXPECT_EQ(next(), 2);
  EXPECT_EQ(next(), 0);
  EXPECT_EQ(scheduler_->wake_at_ms(), now_ + 100);
  now_ += 100;
  add(delivery(3));
  EXPECT_EQ(next(), 1);
  EXPECT_EQ(next(), 0) << "one trial at a time";
  run.trial = true;
  scheduler_->on_success(run);
  EXPECT_EQ(next(), 3);
}

TEST_F(SchedulerTest, OrphansAreNotTakenIn) {
  OpenDelivery d = delivery(1);
  d.plugin = "gone";
  add(std::move(d));
  EXPECT_EQ(scheduler_->loaded(), 0u);
  EXPECT_EQ(next(), 0);
}

TEST_F(SchedulerTest, NoSubscribersAtAll) {
  subscribers_.clear();
  make();
  EXPECT_FALSE(scheduler_->wanted_page());
  add(delivery(1));
  EXPECT_EQ(next(), 0);
}

// ---- filling up from the store

class LoadingTest : public SchedulerTest {
 protected:
  LoadingTest() {
    subscribers_.pop_back();  // one alone
    make(false);
  }
};

TEST_F(LoadingTest, WaitsForTheFirstPage) {
  ASSERT_TRUE(scheduler_->wanted_page());
  add(delivery(3));  // durable while the first page was read, which has it too
  EXPECT_EQ(next(), 0);
  load({delivery(1), delivery(2), delivery(3)}, 3, true);
  EXPECT_FALSE(scheduler_->wanted_page());
  for (int64_t i = 1; i <= 3; ++i) EXPECT_EQ(next(), i);
  EXPECT_EQ(next(), 0);
}

TEST_F(LoadingTest, WhatBecameDurableDuringTheReadIsNeitherLostNorDoubled) {
  // The read saw 1 and 2; 2 and 3 are told meanwhile.
  auto wanted = scheduler_->wanted_page();
  add(delivery(2));
  add(delivery(3));
  scheduler_->load(*wanted, {{delivery(1), delivery(2)}, 2, true}, now_, kWall);
  ASSERT_TRUE(scheduler_->wanted_page());
  EXPECT_EQ(scheduler_->wanted_page()->after, 2);
  load({delivery(3)}, 3, true);
  EXPECT_FALSE(scheduler_->wanted_page());
  for (int64_t i = 1; i <= 3; ++i) EXPECT_EQ(next(), i);
  EXPECT_EQ(next(), 0);
}

TEST_F(LoadingTest, APageThatIsAheadOfTheNews) {
  load({delivery(1), delivery(2)}, 2, true);
  add(delivery(1));
  add(delivery(2));
  add(delivery(3));
  for (int64_t i = 1; i <= 3; ++i) EXPECT_EQ(next(), i);
  EXPECT_EQ(next(), 0);
}

TEST_F(LoadingTest, BeginsWhereItsOwnBegin) {
  scheduler_ = std::make_unique<Scheduler>();
  scheduler_->adopt(roster_);
  add(delivery(78));
  store::OpenSummary summary;
  summary.newest = 77;
  summary.counts.push_back({"gone", "a", 3, 2});
  summary.counts.push_back({"acme", "a", 2, 50});
  scheduler_->begin(summary);
  ASSERT_TRUE(scheduler_->wanted_page());
  EXPECT_EQ(scheduler_->wanted_page()->after, 49);
  load({delivery(50), delivery(60), delivery(78)}, 78, true);
  EXPECT_FALSE(scheduler_->wanted_page());
  for (int64_t seq : {50, 60, 78}) EXPECT_EQ(next(), seq);
}

TEST_F(LoadingTest, OneThatHasNothingOpenAsksForNothing) {
  scheduler_ = std::make_unique<Scheduler>();
  scheduler_->adopt(roster_);
  store::OpenSummary summary;
  summary.newest = 77;
  scheduler_->begin(summary);
  EXPECT_FALSE(scheduler_->wanted_page());
  add(delivery(77));  // settled already, as the look saw
  EXPECT_EQ(next(), 0);
  add(delivery(78));
  EXPECT_EQ(next(), 78);
}

TEST_F(LoadingTest, WhatSomebodyRemovedIsNotAskedForAgain) {
  add(delivery(7));
  load({}, 5, true);
  EXPECT_FALSE(scheduler_->wanted_page());
  add(delivery(8));
  EXPECT_EQ(next(), 8);
}

// The store looks at a part of what it has and finds nothing there.
TEST_F(LoadingTest, AnEmptyPageIsNotTheEnd) {
  load({}, 200'000, false);
  ASSERT_TRUE(scheduler_->wanted_page());
  EXPECT_EQ(scheduler_->wanted_page()->after, 200'000);
  load({delivery(200'001)}, 200'001, true);
  EXPECT_EQ(next(), 200'001);
}

TEST_F(LoadingTest, HoldsABoundedNumberAndFetchesTheRest) {
  constexpr int64_t kAll = 230'000;
  load({}, 0, true);
  std::vector<int64_t> given;
  for (int64_t i = 1; i <= kAll; ++i) add(delivery(i));
  EXPECT_LE(scheduler_->loaded(), Scheduler::kMaxLoaded);
  while (true) {
    if (scheduler_->wanted_page()) {
      load_from(kAll);
      ASSERT_LE(scheduler_->loaded(), Scheduler::kMaxLoaded);
    }
    int64_t seq = next();
    if (seq == 0) break;
    release(seq);
    given.push_back(seq);
  }
  ASSERT_EQ(given.size(), static_cast<size_t>(kAll));
  for (int64_t i = 0; i < kAll; ++i) ASSERT_EQ(given[static_cast<size_t>(i)], i + 1);
}

// Whose target is down, or who puts off whatever comes, keeps nobody else's events waiting.
TEST_F(SchedulerTest, OneThatIsStuckTakesItsOwnShareOnly) {
  for (int64_t i = 1; i <= 150'000; ++i) add(delivery(i));
  EXPECT_EQ(scheduler_->loaded(), Scheduler::kMaxLoaded / 2);
  for (auto entry = scheduler_->next(now_); entry; entry = scheduler_->next(now_)) scheduler_->retry(std::move(*entry), now_ + 60'000);
  EXPECT_FALSE(scheduler_->wanted_page()) << "it has no room";
  for (int64_t i = 150'001; i <= 150'010; ++i) {
    add(delivery(i, "", "b"));
    ASSERT_EQ(next(), i);
    release(i);
  }
  EXPECT_TRUE(scheduler_->keeps_events());
}

TEST_F(SchedulerTest, BehindAStuckOneTheOthersAreLoaded) {
  make(false);
  for (int i = 0; i < 2; ++i) scheduler_->on_failure({}, now_);  // the breaker of `a`
  constexpr int64_t kAll = 300'000;
  int64_t given = 0;
  for (int round = 0; round < 100; ++round) {
    while (scheduler_->wanted_page()) load_from(kAll, 2);
    ASSERT_LE(scheduler_->loaded(), Scheduler::kMaxLoaded);
    for (int64_t seq = next(); seq != 0; seq = next()) {
      EXPECT_EQ(seq % 2, 1) << "of `b`";
      release(seq);
      ++given;
    }
  }
  EXPECT_EQ(given, kAll / 2);
}

TEST_F(SchedulerTest, ManySubscribersHaveRoomEach) {
  subscribers_.resize(1);
  for (int i = 0; i < 300; ++i) {
    Subscriber s;
    s.plugin = "acme";
    s.name = "s" + std::to_string(i);
    subscribers_.push_back(std::move(s));
  }
  make();
  for (int64_t i = 1; i <= 2000; ++i) add(delivery(i));
  EXPECT_EQ(scheduler_->loaded(), Scheduler::kSmallestShare);
}

TEST_F(SchedulerTest, EventsAtHandAreBounded) {
  auto event = std::make_shared<store::StoredEvent>();
  event->body = std::string(1 << 20, 'x');
  for (int64_t i = 1; i <= 100; ++i) {
    OpenDelivery d = delivery(i, "key");  // all but one wait
    d.event = event;
    add(std::move(d));
  }
  EXPECT_LE(event.use_count(), 33);
  for (int64_t i = 1; i <= 100; ++i) {
    ASSERT_EQ(next(), i);
    release(i);
    out_.clear();
  }
  EXPECT_EQ(event.use_count(), 1);
  OpenDelivery d = delivery(101);
  d.event = event;
  add(std::move(d));
  EXPECT_EQ(event.use_count(), 2) << "room is given back";
}

TEST_F(SchedulerTest, OneThatRestsHoldsNoEvents) {
  auto event = std::make_shared<store::StoredEvent>();
  event->body = std::string(1 << 20, 'x');
  auto add_large = [&](int64_t seq, const char* subscriber) {
    OpenDelivery d = delivery(seq, "", subscriber);
    d.event = event;
    add(std::move(d));
  };
  for (int64_t i = 1; i <= 40; ++i) add_large(i, "a");
  EXPECT_EQ(event.use_count(), 33);
  for (int i = 0; i < 2; ++i) scheduler_->on_failure({}, now_);  // the breaker of `a`
  EXPECT_EQ(event.use_count(), 1);
  add_large(41, "a");
  EXPECT_EQ(event.use_count(), 1);
  EXPECT_EQ(scheduler_->room_for_events(), Scheduler::kMaxEventBytes);
  add_large(42, "b");
  EXPECT_EQ(event.use_count(), 2);
}

// However old it is: pages and news are over for it.
TEST_F(SchedulerTest, TakesAReplayedDeliveryBehindThoseOfItsKey) {
  add(delivery(10, "k"));
  add(delivery(11, "k"));
  requeue(delivery(3, "k"));
  requeue(delivery(4));
  EXPECT_EQ(next(), 10);
  EXPECT_EQ(next(), 4);
  EXPECT_EQ(next(), 0);
  release(10);
  EXPECT_EQ(next(), 11);
  release(11);
  EXPECT_EQ(next(), 3);
  add(delivery(12, "k"));
  EXPECT_EQ(next(), 0) << "the replayed one holds the key like any other";
  release(3);
  EXPECT_EQ(next(), 12);
}

TEST_F(SchedulerTest, ReplayedDeliveriesHaveAShareOfTheirOwn) {
  constexpr size_t kShare = Scheduler::kMaxLoaded / 2;
  auto room = [&](const char* subscriber) { return scheduler_->room_for_replays("acme", subscriber); };
  EXPECT_EQ(room("a"), kShare);
  requeue(delivery(3));
  EXPECT_EQ(room("a"), kShare - 1);
  EXPECT_EQ(room("b"), kShare);
  EXPECT_EQ(next(), 3);
  release(3);
  EXPECT_EQ(room("a"), kShare);
  requeue(delivery(4, "", "nobody"));
  EXPECT_EQ(room("nobody"), 0u);
  for (int64_t i = 5; i <= 100'000; ++i) add(delivery(i));
  EXPECT_EQ(room("a"), kShare) << "a full one can be replayed to";
}

}  // namespace
}  // namespace postern::dispatch
