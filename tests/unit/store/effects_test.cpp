// The effects of a delivery are written with its outcome or not at all.
#include "tests/unit/store/settlement_harness.h"

namespace postern::store {
namespace {

using testing::new_event;
using testing::pending;
using testing::settlement;

// ---- records

TEST_F(SettlementTest, RecordsCountTheirVersions) {
  EXPECT_TRUE(settle(done_with(put_delivery(1), {{"things", "a", "1", 0}}))->status);
  EXPECT_EQ(record("a"), "1 v1");
  EXPECT_TRUE(settle(done_with(put_delivery(2), {{"things", "a", "2", 1}}))->status);
  EXPECT_EQ(record("a"), "2 v2");
  EXPECT_TRUE(settle(done_with(put_delivery(3), {{"things", "a", "3", kAnyVersion}}))->status);
  EXPECT_EQ(record("a"), "3 v3");
  restart();
  EXPECT_EQ(record("a"), "3 v3");
}

TEST_F(SettlementTest, OneSettlementMayWriteARecordTwice) {
  EXPECT_TRUE(settle(done_with(put_delivery(1), {{"things", "a", "1", 0}, {"things", "a", "2", 1}}))->status);
  EXPECT_EQ(record("a"), "2 v2");
}

TEST_F(SettlementTest, RecordsBelongToTheirPlugin) {
  settle(done_with(put_delivery(1), {{"things", "a", "1", 0}}));
  auto other = done_with(put_delivery(2), {{"things", "a", "other", 0}});
  other->plugin = "another";
  EXPECT_TRUE(settle(std::move(other))->status);
  EXPECT_EQ(record("a"), "1 v1");
}

TEST_F(SettlementTest, RecordsKeepEveryByte) {
  std::string value("\0\xff\xe4x", 4), key("k\0y", 3);
  EXPECT_TRUE(settle(done_with(put_delivery(1), {{"things", key, value, 0}}))->status);
  auto found = store_->record("acme", "things", key);
  ASSERT_TRUE(found.is_ok() && found->has_value());
  EXPECT_EQ((*found)->value, value);
  EXPECT_FALSE(store_->record("acme", "things", "k")->has_value());
}

// Of three in one batch, the one in conflict leaves no trace, wherever in it the conflict is.
TEST_F(SettlementTest, AConflictUndoesAllOfItsOwnAndNothingElse) {
  settle(done_with(put_delivery(1), {{"things", "taken", "1", 0}}));
  int64_t before = put_delivery(2), conflicting = put_delivery(3), after = put_delivery(4);
  std::string rows_before = everything();

  testing::HeldCommitter held(*store_);
  store_->submit_settlement(done_with(before, {{"things", "before", "1", 0}}));
  auto bad = done_with(
      conflicting, {{"things", "mine", "1", 0}, {"things", "before", "2", kAnyVersion}, {"things", "taken", "2", 7}});
  bad->emitted = {new_event(50, {{"acme", "handlers"}})};
  store_->submit_settlement(std::move(bad));
  store_->submit_settlement(done_with(after, {{"things", "after", "1", 0}}));
  testing::Committed committed;
  store_->submit(pending(new_event(60), committed));
  held.release();

  ASSERT_TRUE(settled_.settlements.wait_for(3));
  auto& all = settled_.settlements.values();
  EXPECT_TRUE(all[0]->status);
  EXPECT_EQ(all[1]->status.code(), Code::kConflict);
  EXPECT_TRUE(all[2]->status);
  EXPECT_EQ(record("before"), "1 v1");
  EXPECT_EQ(record("after"), "1 v1");
  EXPECT_EQ(record("taken"), "1 v1");
  EXPECT_EQ(record("mine"), "(none)");
  EXPECT_EQ(row(conflicting).state, "queued");
  ASSERT_TRUE(committed.events.wait_for(1));
  EXPECT_EQ(committed.events.values()[0]->outcome, ingest::Outcome::kStored);
  EXPECT_EQ(everything(), "6 4") << "before: " << rows_before;
  EXPECT_EQ(store_->counters().open, 1u);
}

// ---- emitted events

TEST_F(SettlementTest, EmittedEventsAreStoredWithTheirDeliveries) {
  int64_t delivery = put_delivery(1, "key");
  auto done = settlement(delivery, Kind::kDone);
  ingest::NewEvent emitted = new_event(50, {{"acme", "handlers"}, {"mailer", "mail"}});
  emitted.order_key = "key";
  emitted.depth = 1;
  emitted.dedupe_until = 0;
  done->emitted = {emitted, emitted};
  EXPECT_TRUE(settle(std::move(done))->status);
  ASSERT_TRUE(settled_.deliveries.wait_for(4));
  auto deliveries = settled_.deliveries.take();
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(deliveries[i].event->order_key, "key");
    EXPECT_EQ(deliveries[i].plugin, i % 2 == 0 ? "acme" : "mailer");
    EXPECT_EQ(deliveries[i].event->depth, 1u);
    EXPECT_EQ(deliveries[i].event->seq, deliveries[i].event_seq);
  }
  EXPECT_EQ(everything(), "3 5");
  EXPECT_EQ(store_->counters().open, 4u);
  EXPECT_EQ(one("SELECT group_concat(depth || order_key) FROM event WHERE depth > 0"), "1key,1key");
}

}  // namespace
}  // namespace postern::store
