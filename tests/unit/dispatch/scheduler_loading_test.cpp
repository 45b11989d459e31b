#include "tests/unit/dispatch/scheduler_harness.h"

namespace postern::dispatch::testing {
namespace {

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

}  // namespace
}  // namespace postern::dispatch::testing
