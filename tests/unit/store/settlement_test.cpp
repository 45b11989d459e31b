// How deliveries end: once, with all others of their batch.
#include "tests/unit/store/settlement_harness.h"

namespace postern::store {
namespace {

using ::testing::IsEmpty;
using testing::new_event;
using testing::pending;
using testing::settlement;
using ::testing::SizeIs;

TEST_F(SettlementTest, Done) {
  int64_t delivery = put_delivery(1);
  EXPECT_EQ(store_->counters().open, 1u);
  int64_t before = wall_ms();
  EXPECT_TRUE(settle(settlement(delivery, Kind::kDone, 3))->status);
  DeliveryRow r = row(delivery);
  EXPECT_EQ(r.state, "done");
  EXPECT_EQ(r.attempts, 3u);
  EXPECT_EQ(r.last_error, "");
  EXPECT_GE(r.settled_at, before);
  EXPECT_EQ(r.duration_us, 1234);
  EXPECT_EQ(r.event_type, "acme.thing.made");
  EXPECT_THAT(*store_->attempts(delivery), IsEmpty());
  EXPECT_THAT(*open_deliveries(0, 10), IsEmpty());
  EXPECT_EQ(store_->counters().open, 0u);
  EXPECT_EQ(store_->counters().settled, 1u);
}

TEST_F(SettlementTest, RetriesThenDead) {
  int64_t delivery = put_delivery(1, "key");
  for (uint32_t n = 1; n <= 2; ++n) {
    auto retry = settlement(delivery, Kind::kRetry, n);
    retry->due_at = 1'000 + n;
    EXPECT_TRUE(settle(std::move(retry))->status);
  }
  auto open_now = open_deliveries(0, 10);
  ASSERT_THAT(*open_now, SizeIs(1));
  EXPECT_EQ(open_now->front().attempts, 2u);
  EXPECT_EQ(open_now->front().due_at, 1'002);
  EXPECT_EQ(open_now->front().order_key, "key");
  EXPECT_EQ(row(delivery).last_error, "attempt 2");
  EXPECT_EQ(store_->counters().open, 1u);

  EXPECT_TRUE(settle(settlement(delivery, Kind::kDead, 3))->status);
  EXPECT_EQ(row(delivery).state, "dead");
  EXPECT_EQ(row(delivery).last_error, "attempt 3");
  EXPECT_EQ(store_->counters().open, 0u);
  EXPECT_EQ(store_->counters().dead, 1u);

  auto attempts = store_->attempts(delivery);
  ASSERT_THAT(*attempts, SizeIs(3));
  for (uint32_t n = 1; n <= 3; ++n) {
    const AttemptRow& a = (*attempts)[n - 1];
    EXPECT_EQ(a.n, n);
    EXPECT_EQ(a.outcome, n < 3 ? "retry" : "dead");
    EXPECT_EQ(a.detail, "attempt " + std::to_string(n));
    EXPECT_EQ(a.started_at, 1'700'000'000'000);
    EXPECT_EQ(a.duration_us, 1234);
  }
  restart();
  EXPECT_EQ(store_->counters().dead, 1u);
  EXPECT_EQ(store_->counters().open, 0u);
}

TEST_F(SettlementTest, PutOffItStaysOpenAndNoAttemptIsKept) {
  int64_t delivery = put_delivery(1, "key");
  EXPECT_TRUE(settle(settlement(delivery, Kind::kRetry, 1))->status);
  auto put_off = settlement(delivery, Kind::kPostpone, 1);
  put_off->detail = "the breaker is open";
  put_off->due_at = 4'711;
  EXPECT_TRUE(settle(std::move(put_off))->status);
  restart();
  auto open_now = open_deliveries(0, 10);
  ASSERT_THAT(*open_now, SizeIs(1));
  EXPECT_EQ(open_now->front().attempts, 1u);
  EXPECT_EQ(open_now->front().due_at, 4'711);
  EXPECT_EQ(row(delivery).state, "queued");
  EXPECT_EQ(row(delivery).last_error, "the breaker is open");
  EXPECT_THAT(*store_->attempts(delivery), SizeIs(1));
  EXPECT_EQ(store_->counters().open, 1u);
  EXPECT_EQ(store_->counters().settled, 0u);
  EXPECT_TRUE(settle(settlement(delivery, Kind::kDone, 2))->status);
  EXPECT_EQ(settle(settlement(delivery, Kind::kPostpone, 2))->status.code(), Code::kGone);
}

TEST_F(SettlementTest, TwiceIsTooLate) {
  int64_t delivery = put_delivery(1);
  EXPECT_TRUE(settle(done_with(delivery, {{"things", "a", "1", kAnyVersion}}))->status);
  for (Kind kind : {Kind::kDone, Kind::kRetry, Kind::kDead}) {
    auto again = settlement(delivery, kind, 7);
    if (kind == Kind::kDone) {
      again->records = {{"things", "a", "2", kAnyVersion}};
      again->emitted = {new_event(50, {{"acme", "handlers"}})};
    }
    EXPECT_EQ(settle(std::move(again))->status.code(), Code::kGone);
  }
  EXPECT_EQ(record("a"), "1 v1");
  EXPECT_EQ(everything(), "1 1");
  EXPECT_EQ(row(delivery).state, "done");
  EXPECT_EQ(row(delivery).attempts, 1u);
  EXPECT_THAT(*store_->attempts(delivery), IsEmpty());
  EXPECT_EQ(store_->counters().settled, 1u);
  EXPECT_EQ(store_->counters().open, 0u);
  EXPECT_EQ(store_->counters().dead, 0u);
}

TEST_F(SettlementTest, TwiceInOneBatchIsTooLateToo) {
  int64_t delivery = put_delivery(1);
  testing::HeldCommitter held(*store_);
  for (int i = 0; i < 2; ++i)
    store_->submit_settlement(done_with(delivery, {{"things", "a", std::to_string(i), kAnyVersion}}));
  held.release();
  ASSERT_TRUE(settled_.settlements.wait_for(2));
  EXPECT_TRUE(settled_.settlements.values()[0]->status);
  EXPECT_EQ(settled_.settlements.values()[1]->status.code(), Code::kGone);
  EXPECT_EQ(record("a"), "0 v1");
}

TEST_F(SettlementTest, UnknownDelivery) {
  EXPECT_EQ(settle(settlement(4711, Kind::kDone))->status.code(), Code::kGone);
}

// ---- batches

TEST_F(SettlementTest, AnsweredOnceABatchAndOnlyWhenAnotherConnectionSeesThem) {
  std::vector<int64_t> deliveries;
  for (uint64_t i = 1; i <= 100; ++i) deliveries.push_back(put_delivery(i));
  testing::Sql reader(path());
  size_t calls = 0, not_seen = 0;
  settled_.look = [&](const auto& batch) {
    ++calls;
    for (const auto& s : batch)
      not_seen += reader.one("SELECT state FROM delivery WHERE seq=" + std::to_string(s->delivery)) != "done";
  };
  testing::HeldCommitter held(*store_);
  for (int64_t delivery : deliveries) store_->submit_settlement(settlement(delivery, Kind::kDone));
  uint64_t batches = store_->counters().batches;
  held.release();
  ASSERT_TRUE(settled_.settlements.wait_for(100));
  store_->stop();
  EXPECT_EQ(not_seen, 0u);
  EXPECT_EQ(calls, store_->counters().batches - batches);
  EXPECT_LT(calls, 20u);
}

TEST_F(SettlementTest, NeitherEventsNorSettlementsStarve) {
  constexpr size_t kMany = 20'000;
  testing::Committed committed;
  for (uint64_t i = 0; i < kMany; ++i) store_->submit(pending(new_event(i, {{"acme", "handlers"}}), committed));
  ASSERT_TRUE(settled_.deliveries.wait_for(kMany));
  // All settlements wait, and events keep coming: both end.
  for (const OpenDelivery& d : settled_.deliveries.take()) {
    store_->submit_settlement(done_with(d.seq, {{"things", std::to_string(d.seq), std::string(500, 'x'), 0}}));
    store_->submit(pending(new_event(kMany + static_cast<uint64_t>(d.seq)), committed));
  }
  ASSERT_TRUE(settled_.settlements.wait_for(kMany));
  ASSERT_TRUE(committed.events.wait_for(2 * kMany));
  int64_t previous = 0;
  for (const auto& s : settled_.settlements.values()) {
    ASSERT_TRUE(s->status);
    ASSERT_GT(s->delivery, previous) << "out of order";
    previous = s->delivery;
  }
  EXPECT_EQ(store_->counters().open, 0u);
}

TEST_F(SettlementTest, StoppingWritesWhatWasSubmitted) {
  constexpr size_t kMany = 5'000;
  testing::Committed committed;
  for (uint64_t i = 0; i < kMany; ++i) store_->submit(pending(new_event(i, {{"acme", "handlers"}}), committed));
  ASSERT_TRUE(settled_.deliveries.wait_for(kMany));
  for (const OpenDelivery& d : settled_.deliveries.take()) store_->submit_settlement(settlement(d.seq, Kind::kDone));
  store_->stop();
  EXPECT_EQ(settled_.settlements.size(), kMany);
  EXPECT_EQ(one("SELECT count(*) FROM delivery WHERE state='done'"), std::to_string(kMany));
}

}  // namespace
}  // namespace postern::store
