#include "tests/unit/dispatch/scheduler_harness.h"

namespace postern::dispatch::testing {
namespace {

class SchedulerReloadTest : public SchedulerTest {
 protected:
  std::shared_ptr<Roster> with(std::vector<std::string> names) {
    auto roster = std::make_shared<Roster>();
    for (const std::string& name : names) {
      Subscriber s;
      s.plugin = "acme";
      s.name = name;
      s.policies.breaker = {2, milliseconds(100)};
      s.policies.retry.cap = milliseconds(60'000);
      roster->subscribers.push_back(std::move(s));
    }
    return roster;
  }
  void adopt(std::vector<std::string> names) { scheduler_->adopt(with(std::move(names))); }
};

TEST_F(SchedulerReloadTest, WhoeverIsInBothGoesOn) {
  add(delivery(1, "k"));
  add(delivery(2, "k"));
  add(delivery(3));
  EXPECT_EQ(next(), 1);
  adopt({"c", "a"});
  EXPECT_EQ(next(), 3);
  EXPECT_EQ(next(), 0) << "the key is still taken";
  release(1);
  EXPECT_EQ(next(), 2);
}

TEST_F(SchedulerReloadTest, ARunHoldsTheRosterThatItBeganWith) {
  add(delivery(1));
  EXPECT_EQ(next(), 1);
  std::weak_ptr<Roster> before = roster_;
  roster_.reset();
  adopt({"a"});
  EXPECT_FALSE(before.expired());
  EXPECT_EQ(out_.at(1).to->name, "a");
  scheduler_->retry(std::exchange(out_.at(1), {}), now_ + 10);
  EXPECT_TRUE(before.expired()) << "nothing that waits holds one";
  now_ += 10;
  EXPECT_EQ(next(), 1);
}

TEST_F(SchedulerReloadTest, OneThatIsGoneKeepsWhatItHasUntilItComesBack) {
  add(delivery(1));
  add(delivery(2, "k"));
  add(delivery(3, "k"));
  add(delivery(4, "", "a", 50));
  requeue(delivery(9));
  EXPECT_EQ(next(), 1);
  adopt({"b"});
  EXPECT_EQ(next(), 0);
  now_ += 100;
  EXPECT_EQ(next(), 0);
  EXPECT_FALSE(scheduler_->wake_at_ms()) << "nobody is woken for it";
  EXPECT_FALSE(scheduler_->has_subscriber("acme", "a"));
  EXPECT_EQ(scheduler_->room_for_replays("acme", "a"), 0u);
  release(1);
  add(delivery(10));  // the store has it
  adopt({"a", "b"});
  std::vector<int64_t> given;
  for (int64_t seq; (seq = next()) != 0;) given.push_back(seq);
  EXPECT_EQ(given, (std::vector<int64_t>{2, 9, 4}));
  ASSERT_TRUE(scheduler_->wanted_page());
  load({delivery(10)}, 10, true);
  EXPECT_EQ(next(), 10);
  release(2);
  EXPECT_EQ(next(), 3);
}

TEST_F(SchedulerReloadTest, ANewOneIsLoadedFromTheBeginning) {
  adopt({"a", "b", "c"});
  add(delivery(20, "", "c"));
  auto wanted = scheduler_->wanted_page();
  ASSERT_TRUE(wanted);
  EXPECT_EQ(wanted->after, 0);
  EXPECT_EQ(scheduler_->subscriber(wanted->subscriber)->name, "c");
  load({delivery(5, "", "c"), delivery(20, "", "c")}, 20, true);
  EXPECT_EQ(next(), 5);
  EXPECT_EQ(next(), 20);
}

TEST_F(SchedulerReloadTest, AReplayOfOneWhomNobodyTakesWaitsForIt) {
  requeue(delivery(3, "", "c"));
  EXPECT_EQ(next(), 0);
  adopt({"a", "c"});
  load({}, 10, true);  // replays are in no page
  EXPECT_EQ(next(), 3);
}

TEST_F(SchedulerReloadTest, ABreakerStaysAsItIs) {
  add(delivery(1));
  add(delivery(2));
  EXPECT_EQ(next(), 1);
  scheduler_->on_failure(out_.at(1), now_);
  scheduler_->on_failure(out_.at(1), now_);
  release(1);
  adopt({"a"});
  EXPECT_EQ(next(), 0);
  now_ += 100;
  EXPECT_EQ(next(), 2);
}

// Four threads of the old instance hang; the new one's code may be mended.
TEST_F(SchedulerReloadTest, WhoIsStuckInTheOldInstanceDoesNotHoldUpTheNew) {
  for (int64_t i = 1; i <= 6; ++i) add(delivery(i));
  for (int64_t i = 1; i <= 4; ++i) {
    EXPECT_EQ(next(), i);
    scheduler_->on_stuck(out_.at(i));
  }
  EXPECT_EQ(next(), 0);
  adopt({"a"});
  EXPECT_EQ(next(), 5);
  for (int64_t i = 1; i <= 4; ++i) scheduler_->on_unstuck(out_.at(i));  // they come back after all
  EXPECT_EQ(next(), 6);
}

TEST_F(SchedulerReloadTest, OneThatIsGoneHoldsNoEvents) {
  auto event = std::make_shared<store::StoredEvent>();
  event->body = "x";
  OpenDelivery d = delivery(1);
  d.event = event;
  add(std::move(d));
  EXPECT_EQ(event.use_count(), 2);
  adopt({"b"});
  EXPECT_EQ(event.use_count(), 1);
}

}  // namespace
}  // namespace postern::dispatch::testing
