// What the dispatcher counts of the runs: by the event's declared type, once each, when the outcome is durable.
#include "core/dispatch/meter.h"

#include <atomic>

#include "tests/support/eventually.h"
#include "tests/unit/dispatch/dispatcher_harness.h"

namespace postern::dispatch {
namespace {

using Outcome = HandlerOutcome;
using Kind = store::Settlement::Kind;

constexpr std::chrono::milliseconds kPatience(20'000);

class MeterTest : public testing::DispatcherHarness {
 protected:
  // Once the dispatcher has looked at all that the store said.
  bool counts(uint64_t succeeded, uint64_t failed) {
    return postern::testing::eventually(kPatience, [&] {
      dispatcher_->status();
      Meter::Totals totals = dispatcher_->meter().totals();
      return totals.succeeded == succeeded && totals.failed == failed;
    });
  }
};

TEST_F(MeterTest, CountsRunsByTypeAndEnd) {
  targets_.add_type("acme", "thing.made");
  own().policies.retry.attempts = 3;
  own().handle = [](Delivery& d) -> HandlerResult {
    if (d.seq() == 1) return {};
    return d.seq() == 2 ? HandlerResult{Outcome::kDead, "bad"} : HandlerResult{Outcome::kRetry, "once more"};
  };
  start();
  for (int i = 0; i < 3; ++i) store_.add();
  ASSERT_TRUE(counts(1, 4));
  const auto& types = dispatcher_->meter().of_type();
  ingest::TypeTable::Id type = targets_.types().match("acme", "acme.thing.made");
  ASSERT_NE(type, ingest::TypeTable::kOther);
  ASSERT_GE(types.size(), targets_.types().size());
  EXPECT_EQ(types[type].done.value(), 1u);
  EXPECT_EQ(types[type].retry.value(), 2u);
  EXPECT_EQ(types[type].dead.value(), 2u);
  for (size_t i = 0; i < types.size(); ++i) EXPECT_EQ(types[i].seconds.count(), i == type ? 5u : 0u) << i;
}

TEST_F(MeterTest, ARunThatConflictsCountsOnce) {
  std::atomic<int> conflicts{3};
  store_.on_settlement = [&](const store::Settlement&) {
    return conflicts.fetch_sub(1) > 0 ? Status(Code::kConflict, "another version") : Status::ok();
  };
  own().handle = [](Delivery&) -> HandlerResult { return {}; };
  start();
  store_.add();
  EXPECT_TRUE(counts(1, 0));
}

TEST_F(MeterTest, BreakersTellHowOftenTheyOpened) {
  own().policies.breaker = {2, config::milliseconds(1)};
  own().policies.retry.attempts = 6;
  own().handle = [](Delivery&) -> HandlerResult { return {Outcome::kRetry, "down"}; };
  start();
  store_.add();
  ASSERT_TRUE(counts(0, 6));
  EXPECT_EQ(dispatcher_->status().subscribers.at(0).breaker_opens, 1u) << "at the second failure; it has not closed since";
}

TEST(MeterUnit, AnUnknownTypeIsOther) {
  Meter meter(2);
  meter.settled(7, Kind::kDone, 2'000'000);
  EXPECT_EQ(meter.of_type()[ingest::TypeTable::kOther].done.value(), 1u);
  EXPECT_EQ(meter.of_type()[ingest::TypeTable::kOther].seconds.sum(), 2.0);
}

}  // namespace
}  // namespace postern::dispatch
