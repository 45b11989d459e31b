// Which deliveries are open, as the dispatcher asks for them.
#include "tests/unit/store/settlement_harness.h"

namespace postern::store {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::new_event;
using testing::settlement;
using ::testing::SizeIs;

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

}  // namespace
}  // namespace postern::store
