// TimerRunner over a real store: what is due becomes an event in its order, soon, in bounded steps, and not while there is no room.
#include "core/dispatch/timer_runner.h"

#include <gmock/gmock.h>

#include "tests/support/eventually.h"
#include "tests/unit/store/store_support.h"

namespace postern::dispatch {
namespace {

using postern::testing::eventually;
using postern::testing::milliseconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Kind = store::Settlement::Kind;

constexpr milliseconds kSoon{30000};

class TimerRunnerTest : public store::testing::StoreTest {
 protected:
  TimerRunnerTest() {
    targets_.add_handlers("acme", "handlers", {"acme.reminder"});
    open();
  }
  ~TimerRunnerTest() override { runner_.reset(); }

  void set(const std::string& name, int64_t delay_ms, const std::string& plugin = "acme") {
    auto done = store::testing::settlement(put_delivery(++number_), Kind::kDone);
    done->plugin = plugin;
    store::TimerWrite timer;
    timer.name = name;
    timer.delay_ms = delay_ms;
    timer.type = "acme.reminder";
    timer.order_key = "key of " + name;
    timer.body = "{}";
    timer.depth = 3;
    done->timers = {timer};
    ASSERT_TRUE(settle(std::move(done))->status);
    settled_.deliveries.take();
  }
  void run(std::vector<std::string> plugins = {"acme"}) {
    roster_->plugins = std::move(plugins);
    runner_ = std::make_unique<TimerRunner>(*store_, *store_, roster_);
    runner_->start();
  }
  void stop() { runner_.reset(); }
  std::vector<std::string> fired() {
    return store::testing::Sql(path()).rows("SELECT external_id FROM event WHERE type = 'acme.reminder' ORDER BY seq");
  }
  bool have_fired(size_t count) {
    return eventually(kSoon, [&] { return fired().size() >= count; });
  }

  std::shared_ptr<Roster> roster_ = std::make_shared<Roster>();
  ingest::TargetTable& targets_ = roster_->targets;
  std::unique_ptr<TimerRunner> runner_;
  uint64_t number_ = 0;
};

TEST_F(TimerRunnerTest, WhatIsDueBecomesAnEvent) {
  set("a", 0);
  run();
  ASSERT_TRUE(settled_.deliveries.wait_for(1));
  const store::OpenDelivery delivery = settled_.deliveries.take().front();
  EXPECT_EQ(delivery.plugin, "acme");
  EXPECT_EQ(delivery.subscriber, "handlers");
  auto event = store_->event(delivery.event_seq);
  ASSERT_TRUE(event.is_ok());
  EXPECT_EQ((*event)->provider, "acme");
  EXPECT_EQ((*event)->type, "acme.reminder");
  EXPECT_EQ((*event)->external_id, "a");
  EXPECT_EQ((*event)->order_key, "key of a");
  EXPECT_EQ((*event)->body, "{}");
  EXPECT_EQ((*event)->depth, 3u);
  EXPECT_LE(std::abs((*event)->received_at - wall_ms()), 60'000);
  EXPECT_TRUE(eventually(kSoon, [&] { return runner_->status().fired == 1; }));
}

TEST_F(TimerRunnerTest, OneThatIsSetLaterWakesIt) {
  run();
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // it sleeps by now
  set("an hour", 3'600'000);
  int64_t before = steady_ms();
  set("soon", 200);
  ASSERT_TRUE(have_fired(1));
  int64_t took = steady_ms() - before;
  EXPECT_GE(took, 200 - 2);  // due by the wall clock, measured by the steady one, both in whole milliseconds
  EXPECT_LT(took, 8'000) << "its own longest pause is ten seconds";
  EXPECT_THAT(fired(), ElementsAre("soon"));
  EXPECT_EQ(runner_->status().late, 0u);
}

// More than fit in a page and in a step, as after a long stop; each exactly once.
TEST_F(TimerRunnerTest, ManyThatAreLate) {
  constexpr int kMany = 1000;
  close();
  store::testing::Sql(path(), false)
      .run("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) "
           "INSERT INTO timer SELECT i, 'acme', 'n' || i, 1000000 - i, 0, 'acme.reminder', '', 0, x'' FROM n");
  open();
  run();
  ASSERT_TRUE(eventually(kSoon, [&] { return runner_->status().fired == kMany; }));
  EXPECT_EQ(runner_->status().late, static_cast<uint64_t>(kMany));
  std::vector<std::string> names = fired();
  ASSERT_EQ(names.size(), static_cast<size_t>(kMany));
  for (int i = 0; i < kMany; ++i) ASSERT_EQ(names[static_cast<size_t>(i)], "n" + std::to_string(kMany - i)) << "the longest due first";
  EXPECT_EQ(one("SELECT count(*) FROM delivery"), std::to_string(kMany));
}

TEST_F(TimerRunnerTest, NotWhileTheBacklogIsFull) {
  set("a", 0);
  close();
  limits_.max_backlog = 1;
  open();
  int64_t waiting = put_delivery(++number_);
  ASSERT_FALSE(store_->accepting());
  run();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_THAT(fired(), IsEmpty());
  ASSERT_TRUE(settle(store::testing::settlement(waiting, Kind::kDone))->status);
  EXPECT_TRUE(have_fired(1));
}

TEST_F(TimerRunnerTest, OthersPluginsTimersWaitForThem) {
  set("theirs", 0, "gone");
  set("ours", 0);
  run();
  ASSERT_TRUE(have_fired(1));
  EXPECT_THAT(fired(), ElementsAre("ours"));
  stop();
  run({"acme", "gone"});
  ASSERT_TRUE(have_fired(2));
  EXPECT_THAT(fired(), ElementsAre("ours", "theirs"));
}

TEST_F(TimerRunnerTest, StopsAtOnce) {
  set("an hour", 3'600'000);
  run();
  int64_t before = steady_ms();
  stop();
  EXPECT_LT(steady_ms() - before, 8'000);
  EXPECT_THAT(fired(), IsEmpty());
}

}  // namespace
}  // namespace postern::dispatch
