// How deliveries end, and that their effects are written with the outcome or not at all.

#include <gmock/gmock.h>

#include "tests/unit/store/store_support.h"

namespace postern::store {
namespace {

using Kind = Settlement::Kind;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::new_event;
using testing::pending;
using testing::settlement;
using ::testing::SizeIs;

class SettlementTest : public testing::StoreTest {
 protected:
  void SetUp() override { open(); }

  DeliveryRow row(int64_t delivery) {
    DeliveryFilter filter;
    filter.seq = delivery;
    auto found = store_->deliveries(filter);
    EXPECT_TRUE(found.is_ok());
    EXPECT_THAT(*found, SizeIs(1));
    return found->front();
  }
  std::string record(const std::string& key) {
    auto found = store_->record("acme", "things", key);
    EXPECT_TRUE(found.is_ok());
    return *found ? (*found)->value + " v" + std::to_string((*found)->version) : "(none)";
  }
  std::unique_ptr<Settlement> done_with(int64_t delivery, std::vector<RecordWrite> records) {
    auto made = settlement(delivery, Kind::kDone);
    made->records = std::move(records);
    return made;
  }
  std::string everything() {
    return one("SELECT (SELECT count(*) FROM event) || ' ' || (SELECT count(*) FROM delivery)");
  }
};

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

TEST_F(SettlementTest, OpenDeliveriesComeInPages) {
  for (uint64_t i = 1; i <= 5; ++i) put_delivery(i);
  std::vector<int64_t> seen;
  for (int64_t after = 0;;) {
    auto page = open_deliveries(after, 2);
    ASSERT_TRUE(page.is_ok());
    for (const OpenDelivery& d : *page) seen.push_back(d.event_seq);
    if (page->size() < 2) break;
    after = page->back().seq;
  }
  EXPECT_THAT(seen, ElementsAre(1, 2, 3, 4, 5));
}

TEST_F(SettlementTest, OpenDeliveriesOfOneSubscriberComeInPages) {
  for (uint64_t i = 1; i <= 4; ++i) put(new_event(i, {{"acme", "handlers"}, {"smtp", "alerts"}}));
  settle(settlement(1, Kind::kDone));
  OpenQuery query;
  query.plugin = "smtp";
  query.subscriber = "alerts";
  query.limit = 3;
  for (size_t event_bytes : {0, 1'000'000}) {
    query.event_bytes = event_bytes;
    query.after = 0;
    auto page = store_->open_deliveries(query);
    ASSERT_TRUE(page.is_ok());
    ASSERT_THAT(page->deliveries, SizeIs(3));
    for (const OpenDelivery& d : page->deliveries) EXPECT_EQ(d.plugin + "/" + d.subscriber, "smtp/alerts");
    EXPECT_EQ(page->up_to, page->deliveries.back().seq);
    EXPECT_FALSE(page->whole);
    query.after = page->up_to;
    page = store_->open_deliveries(query);
    ASSERT_TRUE(page.is_ok());
    EXPECT_THAT(page->deliveries, SizeIs(1));
    EXPECT_EQ(page->up_to, 8) << "that is all";
    EXPECT_TRUE(page->whole);
  }
  query.subscriber = "nobody";
  query.after = 0;
  auto none = store_->open_deliveries(query);
  ASSERT_TRUE(none.is_ok());
  EXPECT_THAT(none->deliveries, IsEmpty());
  EXPECT_EQ(none->up_to, 8);
  EXPECT_TRUE(none->whole);
  query.limit = 0;
  EXPECT_FALSE(store_->open_deliveries(query)->whole);
}

TEST_F(SettlementTest, OpenDeliveriesAreCounted) {
  for (uint64_t i = 1; i <= 4; ++i) put(new_event(i, {{"acme", "handlers"}, {"smtp", "alerts"}}));
  settle(settlement(1, Kind::kDone));
  settle(settlement(4, Kind::kDead));
  NewJob replay;
  replay.kind = JobKind::kReplay;
  replay.deliveries = {4};
  auto job = store_->add_job(replay);
  ASSERT_TRUE(job.is_ok());
  Advance by;
  by.items.push_back({4, false});
  by.finished = true;
  ASSERT_TRUE(store_->advance(job->id, by).is_ok());
  auto summary = store_->sum_up_open_deliveries();
  ASSERT_TRUE(summary.is_ok());
  EXPECT_EQ(summary->newest, 8);
  std::vector<std::string> counts;
  for (const OpenCount& of : summary->counts) {
    counts.push_back(of.plugin + "/" + of.subscriber + " " + std::to_string(of.deliveries) + " from " + std::to_string(of.first));
  }
  EXPECT_THAT(counts, ::testing::UnorderedElementsAre("acme/handlers 3 from 3", "smtp/alerts 4 from 2"));
}

// Who has nothing among many is told how far it was looked.
TEST_F(SettlementTest, OpenDeliveriesAreLookedForInAPartOfThem) {
  for (uint64_t i = 1; i <= 9; ++i) put(new_event(i, {{i < 8 ? "acme" : "smtp", "handlers"}}));
  OpenQuery query;
  query.plugin = "smtp";
  query.subscriber = "handlers";
  query.look_at = 3;
  std::vector<int64_t> found;
  for (int64_t up_to : {3, 6, 9}) {
    auto page = store_->open_deliveries(query);
    ASSERT_TRUE(page.is_ok());
    EXPECT_EQ(page->up_to, up_to);
    EXPECT_EQ(page->whole, up_to == 9);
    for (const OpenDelivery& d : page->deliveries) found.push_back(d.seq);
    query.after = page->up_to;
  }
  EXPECT_THAT(found, ElementsAre(8, 9));
}

TEST_F(SettlementTest, OpenDeliveriesBringTheirEventsUntilThoseAreLarge) {
  for (uint64_t i = 1; i <= 5; ++i) put_delivery(i, "key");
  size_t one_event = 0;
  {
    auto event = store_->event(1);
    ASSERT_TRUE(event.is_ok());
    one_event = (*event)->headers.size() + (*event)->body.size();
  }
  auto page = open_deliveries(0, 10, 2 * one_event);
  ASSERT_TRUE(page.is_ok());
  ASSERT_THAT(*page, SizeIs(5));
  for (int64_t i = 0; i < 5; ++i) {
    const OpenDelivery& d = (*page)[static_cast<size_t>(i)];
    EXPECT_EQ(d.event_seq, i + 1);
    EXPECT_EQ(d.order_key, "key");
    ASSERT_EQ(d.event != nullptr, i < 2) << i;
    if (!d.event) continue;
    auto alone = store_->event(i + 1);
    EXPECT_EQ(d.event->seq, i + 1);
    EXPECT_EQ(d.event->id, (*alone)->id);
    EXPECT_EQ(d.event->type, (*alone)->type);
    EXPECT_EQ(d.event->headers, (*alone)->headers);
    EXPECT_EQ(d.event->body, (*alone)->body);
  }
  EXPECT_THAT(*open_deliveries(0, 3, SIZE_MAX), SizeIs(3));
  EXPECT_THAT(*open_deliveries(5, 3, SIZE_MAX), IsEmpty());
}

// The mark behind which nothing is open follows what is settled, stops at what stays open, and never hides it.
TEST_F(SettlementTest, TheMarkOfOpenDeliveriesStopsAtTheFirstOne) {
  constexpr int64_t kMany = 12'000, kStays = 5'000;
  auto mark = [this] { return std::stoll(one("SELECT value FROM meta WHERE name = 'delivery_open_seq'")); };
  testing::Committed committed;
  for (int64_t i = 1; i <= kMany; ++i) {
    store_->submit(testing::pending(new_event(static_cast<uint64_t>(i), {{"acme", "handlers"}}), committed));
  }
  ASSERT_TRUE(committed.events.wait_for(kMany));
  auto settle_all = [&](int64_t from, int64_t to) {
    for (int64_t seq = from; seq <= to; ++seq) {
      if (seq != kStays) store_->submit_settlement(settlement(seq, Kind::kDone));
    }
    return settled_.settlements.wait_for(static_cast<size_t>(to - (to >= kStays ? 1 : 0)));
  };
  EXPECT_EQ(mark(), 0);
  ASSERT_TRUE(settle_all(1, 4'000));
  EXPECT_GT(mark(), 1'000);
  EXPECT_LE(mark(), 4'001);
  ASSERT_TRUE(settle_all(4'001, kMany));
  EXPECT_LE(mark(), kStays);
  EXPECT_GT(mark(), 4'000);
  restart();
  EXPECT_EQ(store_->counters().open, 1u);
  auto open = open_deliveries(0, 10);
  ASSERT_THAT(*open, SizeIs(1));
  EXPECT_EQ(open->front().seq, kStays);
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
