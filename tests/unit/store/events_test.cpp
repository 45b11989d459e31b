// Events through the whole store: what comes back, what counts as a duplicate, and which seq comes next.

#include <gmock/gmock.h>

#include <map>
#include <set>
#include <thread>

#include "core/base/ids.h"
#include "tests/unit/store/store_support.h"

namespace postern::store {
namespace {

using ingest::Outcome;
using ::testing::IsEmpty;
using testing::new_event;
using testing::pending;
using ::testing::SizeIs;
using testing::Sql;

class EventsTest : public testing::StoreTest {
 protected:
  void SetUp() override { open(); }
};

std::string every_byte() {
  std::string bytes;
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  }
  return bytes;
}

TEST_F(EventsTest, ComeBackByteExact) {
  ingest::NewEvent event = new_event(1);
  event.body = every_byte();
  event.headers = "X-Raw: " + every_byte() + "\r\n";
  event.target = std::string("/hook?a=\0b", 10);
  event.external_id = "\xff\xfe";
  event.order_key = std::string("k\0k", 3);
  event.remote = "2001:db8::1";
  event.depth = 3;
  ingest::NewEvent sent = event;
  auto stored = put(std::move(event));
  ASSERT_EQ(stored->outcome, Outcome::kStored);

  for (int round = 0; round < 2; ++round) {
    auto found = store_->event(stored->seq);
    ASSERT_TRUE(found.is_ok()) << found.status().message();
    const StoredEvent& e = **found;
    EXPECT_EQ(e.body, sent.body);
    EXPECT_EQ(e.headers, sent.headers);
    EXPECT_EQ(e.target, sent.target);
    EXPECT_EQ(e.external_id, sent.external_id);
    EXPECT_EQ(e.order_key, sent.order_key);
    EXPECT_EQ(e.remote, sent.remote);
    EXPECT_EQ(e.depth, 3u);
    EXPECT_EQ(e.provider, sent.provider);
    EXPECT_EQ(e.type, sent.type);
    EXPECT_EQ(e.method, sent.method);
    EXPECT_EQ(e.received_at, sent.received_at);
    EXPECT_EQ(e.dedupe_key, sent.dedupe_key);
    EXPECT_EQ(e.dedupe_until, sent.dedupe_until);
    EXPECT_EQ(e.id, stored->event_id);
    EXPECT_EQ(seq_of_event_id(e.id), stored->seq);
    restart();
  }
  EXPECT_EQ(one("SELECT body FROM event"), sent.body);
  EXPECT_EQ(one("SELECT headers FROM event"), sent.headers);
}

TEST_F(EventsTest, AnEmptyBodyIsNoNull) {
  ingest::NewEvent event = new_event(1);
  event.body = event.headers = event.external_id = "";
  auto stored = put(std::move(event));
  ASSERT_EQ(stored->outcome, Outcome::kStored) << stored->status.message();
  EXPECT_EQ((*store_->event(stored->seq))->body, "");
}

TEST_F(EventsTest, ALargeBody) {
  ingest::NewEvent event = new_event(1);
  event.body = std::string(20 << 20, '\xe4');
  auto stored = put(std::move(event));
  ASSERT_EQ(stored->outcome, Outcome::kStored) << stored->status.message();
  EXPECT_EQ((*store_->event(stored->seq))->body, std::string(20 << 20, '\xe4'));
}

TEST_F(EventsTest, OneThatIsNotThere) { EXPECT_EQ(store_->event(77).status().code(), Code::kNotFound); }

TEST_F(EventsTest, AnsweredOnlyWhenAnotherConnectionSeesThem) {
  testing::Committed committed;
  Sql reader(path());
  std::vector<std::string> seen;
  committed.look = [&](const auto& batch) {
    for (const auto& event : batch)
      seen.push_back(reader.one("SELECT external_id FROM event WHERE id = '" + event->event_id + "'"));
  };
  std::set<std::string> sent;
  for (uint64_t i = 0; i < 200; ++i) {
    sent.insert("EV" + std::to_string(i));
    store_->submit(pending(new_event(i, {{"acme", "handlers"}}), committed));
  }
  ASSERT_TRUE(committed.events.wait_for(200));
  EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()), sent);
}

// ---- duplicates

TEST_F(EventsTest, ADuplicateHasTheFirstOnesId) {
  auto first = put(new_event(1, {{"acme", "handlers"}}));
  auto second = put(new_event(1, {{"acme", "handlers"}}));
  EXPECT_EQ(second->outcome, Outcome::kDuplicate);
  EXPECT_EQ(second->event_id, first->event_id);
  EXPECT_EQ(one("SELECT count(*) FROM event"), "1");
  EXPECT_EQ(one("SELECT count(*) FROM delivery"), "1");
  EXPECT_EQ(store_->counters().events, 1u);
  EXPECT_EQ(store_->counters().duplicates, 1u);
}

TEST_F(EventsTest, ADuplicateWithinOneBatch) {
  testing::Committed committed;
  testing::HeldCommitter held(*store_);
  for (int i = 0; i < 2; ++i) store_->submit(pending(new_event(1), committed));
  held.release();
  ASSERT_TRUE(committed.events.wait_for(2));
  auto& both = committed.events.values();
  EXPECT_EQ(both[0]->outcome, Outcome::kStored);
  EXPECT_EQ(both[1]->outcome, Outcome::kDuplicate);
  EXPECT_EQ(both[1]->event_id, both[0]->event_id);
}

TEST_F(EventsTest, ADuplicateAfterARestart) {
  auto first = put(new_event(1));
  restart();
  auto second = put(new_event(1));
  EXPECT_EQ(second->outcome, Outcome::kDuplicate);
  EXPECT_EQ(second->event_id, first->event_id);
}

TEST_F(EventsTest, NoDuplicateAfterItsTime) {
  ingest::NewEvent event = new_event(1);
  event.received_at = 1'000;
  event.dedupe_until = 2'000;
  ingest::NewEvent again = event, late = event;
  again.received_at = 1'999;
  late.received_at = 2'000;
  late.dedupe_until = 3'000;
  ingest::NewEvent later = late;
  later.received_at = 2'500;
  auto first = put(event);
  EXPECT_EQ(put(again)->event_id, first->event_id);
  auto second = put(late);
  EXPECT_EQ(second->outcome, Outcome::kStored);
  EXPECT_EQ(put(later)->event_id, second->event_id);
}

TEST_F(EventsTest, WithoutAWindowNothingIsADuplicate) {
  for (int i = 0; i < 2; ++i) {
    ingest::NewEvent event = new_event(1);
    event.dedupe_until = 0;
    EXPECT_EQ(put(std::move(event))->outcome, Outcome::kStored);
  }
}

TEST_F(EventsTest, AThousandIdsAHundredTimesEachFromManyThreads) {
  constexpr size_t kIds = 1000, kCopies = 100, kThreads = 8;
  testing::Committed committed;
  std::vector<std::thread> threads;
  for (size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (size_t n = t; n < kIds * kCopies; n += kThreads) {
        store_->submit(pending(new_event((n * 7919) % kIds, {{"acme", "handlers"}}), committed));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(committed.events.wait_for(kIds * kCopies));
  std::map<std::string, std::string> id_of;
  size_t stored = 0;
  for (const auto& event : committed.events.values()) {
    ASSERT_NE(event->outcome, Outcome::kFailed) << event->status.message();
    if (event->outcome != Outcome::kStored) continue;
    ++stored;
    id_of[event->event_id];
  }
  EXPECT_EQ(stored, kIds);
  for (const auto& event : committed.events.values()) EXPECT_TRUE(id_of.contains(event->event_id));
  EXPECT_EQ(one("SELECT count(*) || ' ' || count(DISTINCT external_id) FROM event"), "1000 1000");
  EXPECT_EQ(one("SELECT count(*) FROM delivery"), "1000");
}

TEST_F(EventsTest, DuplicatesAreFoundThroughAMergeAndARestart) {
  constexpr uint64_t kMany = 150'000;  // more than stays in memory
  testing::Committed committed;
  for (uint64_t i = 0; i < kMany; ++i) store_->submit(pending(new_event(i), committed));
  ASSERT_TRUE(committed.events.wait_for(kMany));
  committed.events.take();
  for (int round = 0; round < 2; ++round) {
    for (uint64_t i = 0; i < kMany; i += 50) store_->submit(pending(new_event(i), committed));
    ASSERT_TRUE(committed.events.wait_for(kMany / 50));
    for (const auto& event : committed.events.take()) ASSERT_EQ(event->outcome, Outcome::kDuplicate);
    EXPECT_NE(one("SELECT count(*) FROM dedupe"), "0");
    restart();
  }
}

// ---- numbers

TEST_F(EventsTest, NumbersAreNeverUsedTwice) {
  auto first = put(new_event(1, {{"acme", "handlers"}}));
  ASSERT_TRUE(settled_.deliveries.wait_for(1));
  int64_t delivery = settled_.deliveries.take().front().seq;
  close();
  Sql(path(), false).run("DELETE FROM event; DELETE FROM delivery");
  open();
  auto second = put(new_event(2, {{"acme", "handlers"}}));
  ASSERT_TRUE(settled_.deliveries.wait_for(1));
  EXPECT_GT(second->seq, first->seq);
  EXPECT_GT(settled_.deliveries.take().front().seq, delivery);
}

TEST_F(EventsTest, NumbersFollowTheRowsWhereTheMarkIsBehind) {
  put(new_event(1));
  close();
  Sql(path(), false).run("UPDATE event SET seq = 500; UPDATE meta SET value = 1 WHERE name = 'event_seq'");
  open();
  EXPECT_EQ(put(new_event(2))->seq, 501);
}

// ---- lists

TEST_F(EventsTest, ListsNewestFirstInPages) {
  for (uint64_t i = 1; i <= 5; ++i) put(new_event(i));
  EventFilter filter;
  filter.limit = 2;
  std::vector<std::string> seen;
  while (true) {
    auto page = store_->events(filter);
    ASSERT_TRUE(page.is_ok());
    if (page->empty()) break;
    for (const EventRow& row : *page) {
      seen.push_back(row.external_id);
      EXPECT_EQ(row.body, "");
    }
    filter.before_seq = page->back().seq;
  }
  EXPECT_THAT(seen, ::testing::ElementsAre("EV5", "EV4", "EV3", "EV2", "EV1"));
  filter = {};
  filter.with_content = true;
  filter.seq = 3;
  auto found = store_->events(filter);
  ASSERT_THAT(*found, SizeIs(1));
  EXPECT_EQ(found->front().body, "{}");
}

TEST_F(EventsTest, ListsByType) {
  ingest::NewEvent other = new_event(1);
  other.type = "acme.call.ended";
  put(std::move(other));
  put(new_event(2));
  EventFilter filter;
  filter.type = "*.call.*";
  EXPECT_THAT(*store_->events(filter), SizeIs(1));
  filter.type = "x' OR '1'='1";
  EXPECT_THAT(*store_->events(filter), IsEmpty());
}

TEST_F(EventsTest, TheStateIsThatOfAllDeliveries) {
  auto state = [&] { return store_->events({})->front().state; };
  put(new_event(1));
  EXPECT_EQ(state(), "none");
  put(new_event(2, {{"acme", "a"}, {"acme", "b"}}));
  ASSERT_TRUE(settled_.deliveries.wait_for(2));
  auto deliveries = settled_.deliveries.take();
  EXPECT_EQ(state(), "queued");
  settle(testing::settlement(deliveries[0].seq, Settlement::Kind::kDead));
  EXPECT_EQ(state(), "queued");
  settle(testing::settlement(deliveries[1].seq, Settlement::Kind::kDone));
  EXPECT_EQ(state(), "dead");
}

// ---- limits

TEST_F(EventsTest, AFullBacklogTurnsAwayUntilItIsSettled) {
  close();
  limits_.max_backlog = 2;
  open();
  int64_t first = put_delivery(1);
  EXPECT_TRUE(store_->accepting());
  put_delivery(2);
  EXPECT_EQ(store_->accepting().code(), Code::kLimit);
  restart();
  EXPECT_EQ(store_->accepting().code(), Code::kLimit);
  settle(testing::settlement(first, Settlement::Kind::kDone));
  EXPECT_TRUE(store_->accepting());
}

TEST_F(EventsTest, TooMuchWaitingTurnsAwayUntilItIsWritten) {
  close();
  limits_.max_waiting_bytes = 10'000;
  open();
  testing::Committed committed;
  testing::HeldCommitter held(*store_);
  ingest::NewEvent large = new_event(2);
  large.body = std::string(10'000, 'x');
  store_->submit(pending(std::move(large), committed));
  EXPECT_EQ(store_->accepting().code(), Code::kLimit);
  held.release();
  ASSERT_TRUE(committed.events.wait_for(1));
  EXPECT_TRUE(store_->accepting());
}

TEST_F(EventsTest, StoppingWritesWhatWasSubmitted) {
  testing::Committed committed;
  for (uint64_t i = 0; i < 10'000; ++i) store_->submit(pending(new_event(i), committed));
  store_->stop();
  ASSERT_EQ(committed.events.size(), 10'000u);
  for (const auto& event : committed.events.values()) ASSERT_EQ(event->outcome, Outcome::kStored);
}

}  // namespace
}  // namespace postern::store
