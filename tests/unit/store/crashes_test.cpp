// Crashes: each counts once, together with the attempt that it was.
#include "core/store/crashes.h"

#include <gmock/gmock.h>

#include "tests/unit/store/store_support.h"

namespace postern::store {
namespace {

using Kind = Settlement::Kind;
using ::testing::ElementsAre;
using ::testing::SizeIs;
using testing::settlement;

Crash crash(int64_t life, const std::string& plugin = "acme", int64_t delivery = 0) {
  Crash made;
  made.life = life;
  made.plugin = plugin;
  made.build = "b1";
  made.entry_point = "handler";
  made.delivery = delivery;
  made.at = 1'700'000'000'000 + life;
  made.signal = "SIGSEGV";
  made.place = "acme.so+0x10";
  made.backtrace = "#0 acme.so+0x10\n";
  return made;
}

std::unique_ptr<Settlement> attempt(int64_t delivery, Kind kind, uint32_t attempts) {
  auto made = settlement(delivery, kind, attempts);
  made->outcome = kCrashOutcome;
  made->detail = "the gateway crashed in it";
  return made;
}

class CrashesTest : public testing::StoreTest {
 protected:
  void SetUp() override { open(); }
};

TEST_F(CrashesTest, AreReadBackTheNewestFirst) {
  EXPECT_TRUE(*store_->add_crash(crash(1, "acme", 7), nullptr));
  Crash silent = crash(2, "mail");
  silent.signal.clear();
  EXPECT_TRUE(*store_->add_crash(silent, nullptr));
  restart();
  auto all = store_->crashes("", 10);
  ASSERT_TRUE(all) << all.status().message();
  ASSERT_THAT(*all, SizeIs(2));
  EXPECT_EQ((*all)[0].plugin, "mail");
  EXPECT_EQ((*all)[0].delivery, 0);
  EXPECT_EQ((*all)[0].explain(), "the gateway died in it without a word, with no other delivery at work");
  const Crash& first = (*all)[1];
  EXPECT_EQ(first.life, 1);
  EXPECT_EQ(first.build, "b1");
  EXPECT_EQ(first.entry_point, "handler");
  EXPECT_EQ(first.delivery, 7);
  EXPECT_EQ(first.at, 1'700'000'000'001);
  EXPECT_EQ(first.backtrace, "#0 acme.so+0x10\n");
  EXPECT_EQ(first.explain(), "the gateway crashed in it: SIGSEGV in acme.so+0x10");
  EXPECT_THAT(*store_->crashes("acme", 10), SizeIs(1));
  EXPECT_THAT(*store_->crashes("", 1), SizeIs(1));
}

TEST_F(CrashesTest, CountOnceWithTheirAttempt) {
  int64_t delivery = put_delivery(1);
  EXPECT_TRUE(*store_->add_crash(crash(1, "acme", delivery), attempt(delivery, Kind::kRetry, 1)));
  EXPECT_EQ(*store_->crash_attempts(delivery), 1u);
  // The gateway ended before it had forgotten the record: the same life again.
  EXPECT_FALSE(*store_->add_crash(crash(1, "acme", delivery), attempt(delivery, Kind::kDead, 2)));
  EXPECT_EQ(*store_->crash_attempts(delivery), 1u);
  EXPECT_EQ(one("SELECT state, attempts FROM delivery"), "queued|1");
  EXPECT_TRUE(*store_->add_crash(crash(2, "acme", delivery), attempt(delivery, Kind::kDead, 2)));
  EXPECT_EQ(*store_->crash_attempts(delivery), 2u);
  EXPECT_EQ(one("SELECT state, attempts, last_error FROM delivery"), "dead|2|the gateway crashed in it");
  EXPECT_EQ(store_->counters().open, 0u);
  EXPECT_EQ(store_->counters().dead, 1u);
}

TEST_F(CrashesTest, OrdinaryFailuresAreNotAmongThem) {
  int64_t delivery = put_delivery(1);
  settle(settlement(delivery, Kind::kRetry, 1));
  settle(settlement(delivery, Kind::kRetry, 2));
  ASSERT_TRUE(store_->add_crash(crash(1, "acme", delivery), attempt(delivery, Kind::kRetry, 3)));
  EXPECT_EQ(*store_->crash_attempts(delivery), 1u);
  EXPECT_EQ(*store_->crash_attempts(delivery + 1), 0u);
}

TEST_F(CrashesTest, ThoseBeforeAReplayDoNotCount) {
  int64_t delivery = put_delivery(1);
  ASSERT_TRUE(store_->add_crash(crash(1, "acme", delivery), attempt(delivery, Kind::kDead, 1)));
  NewJob replay;
  replay.deliveries = {delivery};
  auto job = store_->add_job(replay);
  ASSERT_TRUE(job);
  Advance by;
  by.items.push_back({delivery, false});
  by.cursor = delivery;
  by.finished = true;
  ASSERT_TRUE(store_->advance(job->id, by));
  EXPECT_EQ(*store_->crash_attempts(delivery), 0u);
  ASSERT_TRUE(store_->add_crash(crash(2, "acme", delivery), attempt(delivery, Kind::kRetry, 1)));
  EXPECT_EQ(*store_->crash_attempts(delivery), 1u);
}

TEST_F(CrashesTest, OneOfADeliveryThatIsSettledMeanwhileCounts) {
  int64_t delivery = put_delivery(1);
  settle(settlement(delivery, Kind::kDone));
  EXPECT_TRUE(*store_->add_crash(crash(1, "acme", delivery), attempt(delivery, Kind::kDead, 1)));
  EXPECT_EQ(one("SELECT state FROM delivery"), "done");
  EXPECT_THAT(*store_->crashes("acme", 10), SizeIs(1));
}

TEST_F(CrashesTest, AreForgivenForOnePluginUntilNow) {
  ASSERT_TRUE(store_->add_crash(crash(1, "acme"), nullptr));
  ASSERT_TRUE(store_->add_crash(crash(2, "mail"), nullptr));
  ASSERT_TRUE(store_->pardon("acme"));
  ASSERT_TRUE(store_->add_crash(crash(3, "acme"), nullptr));
  std::vector<bool> pardoned;
  auto all = store_->crashes("", 10);
  ASSERT_TRUE(all);
  for (const Crash& c : *all) pardoned.push_back(c.pardoned_at != 0);
  EXPECT_THAT(pardoned, ElementsAre(false, false, true));
}

TEST_F(CrashesTest, OnlyTheNewestAreKept) {
  for (int64_t life = 1; life <= static_cast<int64_t>(kMaxCrashes) + 5; ++life) ASSERT_TRUE(store_->add_crash(crash(life), nullptr));
  auto all = store_->crashes("", 2 * kMaxCrashes);
  ASSERT_THAT(*all, SizeIs(kMaxCrashes));
  EXPECT_EQ(all->front().life, static_cast<int64_t>(kMaxCrashes) + 5);
}

TEST_F(CrashesTest, AfterTheStopNothingIsWritten) {
  store_->stop();
  EXPECT_EQ(store_->add_crash(crash(1), nullptr).status().code(), Code::kUnavailable);
  EXPECT_EQ(store_->pardon("acme").code(), Code::kUnavailable);
}

}  // namespace
}  // namespace postern::store
