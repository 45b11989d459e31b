#include "tests/unit/dispatch/scheduler_harness.h"

#include <set>

namespace postern::dispatch::testing {
namespace {

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
}  // namespace postern::dispatch::testing
