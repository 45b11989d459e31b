// Durable timers: set and removed with a settlement or not at all, and each becomes an event once.

#include <gmock/gmock.h>

#include <chrono>
#include <thread>

#include "tests/unit/store/faulty_vfs.h"
#include "tests/unit/store/store_support.h"

namespace postern::store {
namespace {

using Kind = Settlement::Kind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;
using testing::settlement;
using testing::Sql;

TimerWrite timer(const std::string& name, int64_t delay_ms = 0, const std::string& body = "body") {
  TimerWrite write;
  write.name = name;
  write.delay_ms = delay_ms;
  write.type = "acme.reminder";
  write.order_key = "key";
  write.body = body;
  return write;
}

TimerWrite removal(const std::string& name) {
  TimerWrite write;
  write.name = name;
  write.remove = true;
  return write;
}

class TimersTest : public testing::StoreTest {
 protected:
  void SetUp() override { open(); }

  std::unique_ptr<Settlement> done_with(std::vector<TimerWrite> timers) {
    auto made = settlement(put_delivery(++number_), Kind::kDone);
    made->timers = std::move(timers);
    return made;
  }
  Status set(std::vector<TimerWrite> timers) { return settle(done_with(std::move(timers)))->status; }

  DueTimers due(size_t limit = 100) {
    auto found = store_->due_timers({"acme"}, limit);
    EXPECT_TRUE(found.is_ok()) << found.status().message();
    return found ? std::move(*found) : DueTimers();
  }
  std::vector<std::string> due_names() {
    std::vector<std::string> names;
    for (const DueTimer& timer : due().timers) names.push_back(timer.name);
    return names;
  }
  static Firing firing(const DueTimer& timer) {
    Firing made;
    made.timer = timer.seq;
    made.event.provider = timer.plugin;
    made.event.type = timer.type;
    made.event.external_id = timer.name;
    made.event.order_key = timer.order_key;
    made.event.body = timer.body;
    made.event.received_at = wall_ms();
    made.event.targets = testing::targets({{"acme", "handlers"}});
    return made;
  }
  Fired fire(const std::vector<DueTimer>& timers) {
    std::vector<Firing> all;
    for (const DueTimer& timer : timers) all.push_back(firing(timer));
    auto fired = store_->fire(std::move(all));
    EXPECT_TRUE(fired.is_ok()) << fired.status().message();
    return fired ? *fired : Fired();
  }

  testing::FaultyVfs vfs_;  // made before the store, gone after it
  uint64_t number_ = 0;
};

TEST_F(TimersTest, WaitUntilTheyAreDue) {
  ASSERT_TRUE(set({timer("now"), timer("later", 3'600'000)}));
  DueTimers found = due();
  ASSERT_THAT(found.timers, SizeIs(1));
  const DueTimer& now = found.timers[0];
  EXPECT_EQ(now.plugin, "acme");
  EXPECT_EQ(now.name, "now");
  EXPECT_EQ(now.type, "acme.reminder");
  EXPECT_EQ(now.order_key, "key");
  EXPECT_EQ(now.body, "body");
  EXPECT_GE(now.late_ms, 0);
  EXPECT_THAT(store_->waiting_timers(), ElementsAre(Pair("acme", 2)));
  fire(found.timers);
  found = due();
  EXPECT_THAT(found.timers, IsEmpty());
  ASSERT_TRUE(found.next_in_ms);
  EXPECT_GT(*found.next_in_ms, 3'500'000);
  EXPECT_LE(*found.next_in_ms, 3'600'000);
  EXPECT_THAT(store_->waiting_timers(), ElementsAre(Pair("acme", 1)));
}

TEST_F(TimersTest, BecomeAnEventOnce) {
  ASSERT_TRUE(set({timer("a", 0, std::string("\0bytes", 6))}));
  std::vector<DueTimer> found = due().timers;
  settled_.deliveries.take();
  EXPECT_EQ(fire(found).events, 1u);
  ASSERT_TRUE(settled_.deliveries.wait_for(1)) << "the dispatcher is told";
  EXPECT_THAT(Sql(path()).rows("SELECT provider, type, external_id, order_key, hex(body) FROM event WHERE type = 'acme.reminder'"),
              ElementsAre("acme|acme.reminder|a|key|006279746573"));
  Fired again = fire(found);
  EXPECT_EQ(again.handled, 1u);
  EXPECT_EQ(again.events, 0u);
  EXPECT_EQ(one("SELECT count(*) FROM event WHERE type = 'acme.reminder'"), "1");
  EXPECT_EQ(one("SELECT count(*) FROM timer"), "0");
  EXPECT_THAT(store_->waiting_timers(), IsEmpty());
  EXPECT_EQ(store_->counters().open, 1u);
}

TEST_F(TimersTest, TheLongestDueComeFirst) {
  // Each is due so long after it was set, and they are set one after the other: the steps are longer than that takes on a busy machine.
  ASSERT_TRUE(set({timer("second", 1000), timer("third", 2000), timer("first", 0), timer("also third", 2000)}));
  for (int i = 0; i < 1000 && due().timers.size() < 4; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_THAT(due_names(), ElementsAre("first", "second", "third", "also third"));
  EXPECT_THAT(due(2).timers, SizeIs(2));
}

TEST_F(TimersTest, AreReplacedByName) {
  ASSERT_TRUE(set({timer("a", 0, "old")}));
  std::vector<DueTimer> old = due().timers;
  ASSERT_TRUE(set({timer("a", 3'600'000, "new")}));
  EXPECT_EQ(fire(old).events, 0u) << "what was read before fires no more";
  EXPECT_THAT(due().timers, IsEmpty());
  EXPECT_EQ(one("SELECT body FROM timer"), "new");
  EXPECT_THAT(store_->waiting_timers(), ElementsAre(Pair("acme", 1)));
}

TEST_F(TimersTest, AreRemoved) {
  ASSERT_TRUE(set({timer("a"), timer("b")}));
  std::vector<DueTimer> both = due().timers;
  ASSERT_TRUE(set({removal("a"), removal("never there")}));
  EXPECT_THAT(due_names(), ElementsAre("b"));
  EXPECT_EQ(fire(both).events, 1u);
  EXPECT_THAT(store_->waiting_timers(), IsEmpty());
}

// A number is not given again to another timer while somebody may still hold it.
TEST_F(TimersTest, ARemovedOneIsNotTakenForTheNext) {
  ASSERT_TRUE(set({timer("a")}));
  std::vector<DueTimer> removed = due().timers;
  ASSERT_TRUE(set({removal("a")}));
  ASSERT_TRUE(set({timer("b")}));
  EXPECT_EQ(fire(removed).events, 0u);
  EXPECT_THAT(due_names(), ElementsAre("b"));
}

TEST_F(TimersTest, TheLastWriteOfADeliveryCounts) {
  ASSERT_TRUE(set({timer("a", 0, "1"), timer("a", 0, "2"), timer("b"), removal("b"), removal("c"), timer("c")}));
  EXPECT_THAT(Sql(path()).rows("SELECT name, body FROM timer ORDER BY name"), ElementsAre("a|2", "c|body"));
  EXPECT_THAT(store_->waiting_timers(), ElementsAre(Pair("acme", 2)));
}

// Beside a record of another version than expected, a settled delivery, and a disk that takes nothing.
TEST_F(TimersTest, AreSetWithTheSettlementOrNotAtAll) {
  ASSERT_TRUE(set({timer("kept", 3'600'000, "kept")}));
  auto conflict = done_with({timer("new"), removal("kept")});
  conflict->records = {{"things", "x", "1", 7}};
  EXPECT_EQ(settle(std::move(conflict))->status.code(), Code::kConflict);
  auto twice = settlement(1, Kind::kDone);
  twice->timers = {timer("new"), removal("kept")};
  EXPECT_EQ(settle(std::move(twice))->status.code(), Code::kGone);
  auto failing = done_with({timer("new"), removal("kept")});
  testing::FaultyVfs::log_write = SQLITE_FULL;
  EXPECT_FALSE(settle(std::move(failing))->status);
  testing::FaultyVfs::log_write = SQLITE_OK;
  EXPECT_THAT(Sql(path()).rows("SELECT name, body FROM timer"), ElementsAre("kept|kept"));
  EXPECT_THAT(store_->waiting_timers(), ElementsAre(Pair("acme", 1)));
}

TEST_F(TimersTest, FireWithTheirEventOrNotAtAll) {
  ASSERT_TRUE(set({timer("a")}));
  std::vector<DueTimer> found = due().timers;
  testing::FaultyVfs::log_write = SQLITE_FULL;
  EXPECT_FALSE(store_->fire({firing(found[0])}).is_ok());
  testing::FaultyVfs::log_write = SQLITE_OK;
  EXPECT_EQ(one("SELECT count(*) FROM event WHERE type = 'acme.reminder'"), "0");
  EXPECT_THAT(store_->waiting_timers(), ElementsAre(Pair("acme", 1)));
  EXPECT_THAT(due_names(), ElementsAre("a"));
  EXPECT_EQ(fire(found).events, 1u);
}

TEST_F(TimersTest, SurviveARestart) {
  ASSERT_TRUE(set({timer("a", 0, "due"), timer("b", 3'600'000)}));
  restart();
  EXPECT_THAT(store_->waiting_timers(), ElementsAre(Pair("acme", 2)));
  std::vector<DueTimer> found = due().timers;
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_EQ(found[0].body, "due");
  EXPECT_EQ(fire(found).events, 1u);
  restart();
  EXPECT_THAT(due().timers, IsEmpty());
  ASSERT_TRUE(set({timer("c")}));
  EXPECT_THAT(due_names(), ElementsAre("c"));
}

// As if the clock had been a day ahead when they were set, or is a day behind now.
TEST_F(TimersTest, AClockThatWasSetBackStallsNone) {
  ASSERT_TRUE(set({timer("long", 3'600'000), timer("short", 200)}));
  close();
  Sql(path(), false).run("UPDATE timer SET due_at = due_at + 86400000, set_at = set_at + 86400000");
  open();
  DueTimers found = due();
  EXPECT_THAT(found.timers, IsEmpty());
  ASSERT_TRUE(found.next_in_ms);
  EXPECT_LE(*found.next_in_ms, 200) << "its whole delay, from the start on";
  std::this_thread::sleep_for(std::chrono::milliseconds(250));
  EXPECT_THAT(due_names(), ElementsAre("short"));
  fire(due().timers);
  found = due();
  ASSERT_TRUE(found.next_in_ms);
  EXPECT_LE(*found.next_in_ms, 3'600'000);
  EXPECT_GT(*found.next_in_ms, 3'500'000);
  EXPECT_THAT(store_->waiting_timers(), ElementsAre(Pair("acme", 1)));
}

TEST_F(TimersTest, AClockThatWasSetForwardLetsThemFireAtTheStart) {
  ASSERT_TRUE(set({timer("a", 3'600'000)}));
  close();
  Sql(path(), false).run("UPDATE timer SET due_at = due_at - 86400000, set_at = set_at - 86400000");
  open();
  EXPECT_THAT(due_names(), ElementsAre("a"));
}

TEST_F(TimersTest, OfOtherPluginsWait) {
  ASSERT_TRUE(set({timer("a")}));
  auto theirs = done_with({timer("b"), timer("c", 3'600'000)});
  theirs->plugin = "gone";
  ASSERT_TRUE(settle(std::move(theirs))->status);
  EXPECT_THAT(due_names(), ElementsAre("a"));
  fire(due().timers);
  EXPECT_FALSE(due().next_in_ms) << "nobody fires them";
  EXPECT_THAT(store_->waiting_timers(), ElementsAre(Pair("gone", 2)));
  EXPECT_THAT(store_->due_timers({}, 10)->timers, IsEmpty());
  EXPECT_THAT(store_->due_timers({"acme", "gone"}, 10)->timers, SizeIs(1));
}

TEST_F(TimersTest, APageIsNotLarge) {
  std::vector<TimerWrite> large;
  for (int i = 0; i < 200; ++i) large.push_back(timer(std::to_string(i), 0, std::string(64 * 1024, 'x')));
  ASSERT_TRUE(set(std::move(large)));
  EXPECT_THAT(due(1000).timers, SizeIs(64)) << "4 MiB";
}

TEST_F(TimersTest, AreBounded) {
  close();
  Sql(path(), false).run(
      "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " + std::to_string(kMaxTimers - 1) + ") "
      "INSERT INTO timer SELECT i, 'acme', 'old' || i, 4000000000000, 0, 't', '', 0, x'' FROM n");
  open();
  EXPECT_THAT(store_->waiting_timers(), ElementsAre(Pair("acme", kMaxTimers - 1)));
  EXPECT_TRUE(set({timer("last")}));
  auto refused = settle(done_with({timer("too many")}));
  EXPECT_EQ(refused->status.code(), Code::kLimit);
  EXPECT_THAT(refused->status.message(), HasSubstr("plugin acme would have more than 100000 durable timers"));
  EXPECT_EQ(one("SELECT count(*) FROM delivery WHERE state = 'queued'"), "1") << "and nothing else of it is written";
  EXPECT_TRUE(set({timer("last", 5)})) << "a replaced one is no more";
  EXPECT_TRUE(set({removal("old1"), timer("instead")}));
  EXPECT_EQ(set({removal("old2"), timer("x"), timer("y")}).code(), Code::kLimit);
  auto other = done_with({timer("too many")});
  other->plugin = "other";
  EXPECT_TRUE(settle(std::move(other))->status) << "each plugin for itself";
}

// Together in one batch: what the first one adds counts for the second.
TEST_F(TimersTest, AreBoundedWithinABatch) {
  close();
  Sql(path(), false).run(
      "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " + std::to_string(kMaxTimers - 1) + ") "
      "INSERT INTO timer SELECT i, 'acme', 'old' || i, 4000000000000, 0, 't', '', 0, x'' FROM n");
  open();
  auto first = done_with({timer("a")}), second = done_with({timer("b")});
  testing::HeldCommitter held(*store_);
  store_->submit_settlement(std::move(first));
  store_->submit_settlement(std::move(second));
  held.release();
  ASSERT_TRUE(settled_.settlements.wait_for(2));
  EXPECT_TRUE(settled_.settlements.values()[0]->status);
  EXPECT_EQ(settled_.settlements.values()[1]->status.code(), Code::kLimit);
}

TEST_F(TimersTest, WhoeverWaitsIsTold) {
  testing::Gathered<int64_t> told;
  store_->tell_of_timers([&](int64_t in_ms) { told.add(in_ms); });
  ASSERT_TRUE(set({timer("later", 5000), timer("sooner", 1000)}));
  ASSERT_TRUE(set({removal("later")}));
  ASSERT_TRUE(told.wait_for(1));
  store_->tell_of_timers(nullptr);
  ASSERT_TRUE(set({timer("unheard")}));
  std::vector<int64_t> heard = told.take();
  ASSERT_THAT(heard, SizeIs(1)) << "a removal is no news";
  EXPECT_GT(heard[0], 0);
  EXPECT_LE(heard[0], 1000);
}

TEST_F(TimersTest, AfterTheStopNothingFires) {
  ASSERT_TRUE(set({timer("a")}));
  std::vector<DueTimer> found = due().timers;
  store_->stop();
  EXPECT_EQ(store_->fire({firing(found[0])}).status().code(), Code::kUnavailable);
  EXPECT_EQ(one("SELECT count(*) FROM timer"), "1");
}

}  // namespace
}  // namespace postern::store
