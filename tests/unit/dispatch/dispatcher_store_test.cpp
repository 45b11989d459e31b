// The dispatcher over the real store: what both promise together.

#include <gmock/gmock.h>

#include <atomic>
#include <future>
#include <map>

#include "core/dispatch/dispatcher.h"
#include "tests/unit/store/store_support.h"

namespace postern::dispatch {
namespace {

using config::milliseconds;
using store::testing::new_event;
using store::testing::pending;
using Outcome = HandlerOutcome;
using ::testing::ElementsAre;

class DispatcherStoreTest : public ::testing::Test {
 protected:
  DispatcherStoreTest() {
    Subscriber& s = subscribers_.emplace_back();
    s.plugin = "acme";
    s.name = "handlers";
    s.policies.retry = {5, milliseconds(1), 1, milliseconds(60'000), 0};
    s.policies.breaker = {1000, milliseconds(30'000)};
    s.policies.deadline = milliseconds(60'000);
    targets_.add_handlers("acme", "handlers", {"acme.follow_on"});
  }
  ~DispatcherStoreTest() override { close(); }

  void open(uint32_t workers = 8) {
    auto opened = store::sqlite::SqliteStore::open(path(), {});
    ASSERT_TRUE(opened.is_ok()) << opened.status().message();
    store_ = std::move(*opened);
    dispatcher_ = std::make_unique<Dispatcher>(roster_, *store_, workers);
    ASSERT_TRUE(store_->start(*dispatcher_, *dispatcher_, [](const Status&) { ADD_FAILURE() << "the store failed"; }));
    dispatcher_->start();
  }
  void close(int64_t drain_ms = 60'000) {
    if (!dispatcher_) return;
    EXPECT_TRUE(dispatcher_->stop(drain_ms));
    store_->stop();
    dispatcher_.reset();
    store_.reset();
  }
  void put(uint64_t number, const std::string& key = "") {
    ingest::NewEvent event = new_event(number, {{"acme", "handlers"}});
    event.order_key = key;
    store_->submit(pending(std::move(event), committed_));
  }
  bool wait_until_settled(uint64_t count) {
    // Nothing tells a test of it: the dispatcher is the observer.
    auto until = std::chrono::steady_clock::now() + std::chrono::seconds(100);
    while (store_->counters().settled < count) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
  }
  std::string path() const { return folder_.file("events.db"); }
  std::string one(const std::string& sql) { return store::testing::Sql(path()).one(sql); }

  store::testing::TempFolder folder_;
  store::testing::Committed committed_;
  std::shared_ptr<Roster> roster_ = std::make_shared<Roster>();
  std::vector<Subscriber>& subscribers_ = roster_->subscribers;
  ingest::TargetTable& targets_ = roster_->targets;
  store::testing::Gathered<std::string> calls_;
  std::unique_ptr<store::sqlite::SqliteStore> store_;
  std::unique_ptr<Dispatcher> dispatcher_;
};

TEST_F(DispatcherStoreTest, NoUpdateIsLost) {
  constexpr uint64_t kDeliveries = 2000;
  std::atomic<uint64_t> runs{0};
  subscribers_[0].handle = [&](Delivery& d) -> HandlerResult {
    ++runs;
    std::string key = std::to_string(d.event().seq % 5);
    auto found = d.get_record("counts", key);
    uint64_t version = 0;
    int64_t value = 0;
    if (found) {
      version = found->version;
      value = std::stoll(found->value);
    } else if (found.status().code() != Code::kNotFound) {
      return {Outcome::kRetry, found.status().message()};
    }
    if (Status s = d.put_record("counts", key, std::to_string(value + 1), version); !s)
      return {Outcome::kDead, s.message()};
    return {};
  };
  open();
  for (uint64_t i = 1; i <= kDeliveries; ++i) put(i);  // unordered: they meet at the records
  ASSERT_TRUE(wait_until_settled(kDeliveries));
  EXPECT_EQ(one("SELECT sum(value) FROM record"), std::to_string(kDeliveries));
  EXPECT_EQ(one("SELECT sum(version) FROM record"), std::to_string(kDeliveries));
  EXPECT_EQ(one("SELECT count(*) FROM delivery WHERE state='done' AND attempts=1"), std::to_string(kDeliveries));
  EXPECT_EQ(one("SELECT count(*) FROM attempt"), "0");
  EXPECT_GT(runs, kDeliveries) << "no conflict was provoked";
}

TEST_F(DispatcherStoreTest, ARetryHoldsItsKeyThroughARestart) {
  subscribers_[0].policies.retry.base = milliseconds(300);
  subscribers_[0].handle = [&](Delivery& d) -> HandlerResult {
    calls_.add(d.event().external_id + "." + std::to_string(d.attempt()));
    return d.event().external_id == "EV1" && d.attempt() == 1 ? HandlerResult{Outcome::kRetry, "later"}
                                                              : HandlerResult{};
  };
  open();
  put(1, "k");
  ASSERT_TRUE(committed_.events.wait_for(1));
  ASSERT_TRUE(calls_.wait_for(1));
  put(2, "k");
  put(3, "other");
  ASSERT_TRUE(committed_.events.wait_for(3));
  ASSERT_TRUE(calls_.wait_for(2));
  close();
  EXPECT_EQ(one("SELECT group_concat(state || attempts) FROM (SELECT * FROM delivery ORDER BY seq)"),
            "queued1,queued0,done1");
  open();
  ASSERT_TRUE(calls_.wait_for(4));
  close();
  EXPECT_THAT(calls_.values(), ElementsAre("EV1.1", "EV3.1", "EV1.2", "EV2.1"));
  EXPECT_EQ(one("SELECT group_concat(state || attempts) FROM (SELECT * FROM delivery ORDER BY seq)"),
            "done2,done1,done1");
}

TEST_F(DispatcherStoreTest, OneThatIsPutOffWaitsInItsPlaceThroughARestart) {
  std::atomic<bool> down{true};
  subscribers_[0].handle = [&](Delivery& d) -> HandlerResult {
    calls_.add(d.event().external_id + "." + std::to_string(d.attempt()));
    d.retry_after(1500);
    return d.event().external_id == "EV1" && down ? HandlerResult{Outcome::kPostpone, "the breaker is open"} : HandlerResult{};
  };
  open();
  put(1, "k");
  ASSERT_TRUE(committed_.events.wait_for(1));
  ASSERT_TRUE(calls_.wait_for(1));
  put(2, "k");
  put(3, "other");
  ASSERT_TRUE(committed_.events.wait_for(3));
  ASSERT_TRUE(calls_.wait_for(2));
  close();
  EXPECT_EQ(one("SELECT group_concat(state || attempts) FROM (SELECT * FROM delivery ORDER BY seq)"), "queued0,queued0,done1");
  EXPECT_EQ(one("SELECT last_error FROM delivery WHERE seq = 1"), "the breaker is open");
  int64_t due_at = std::stoll(one("SELECT due_at FROM delivery WHERE seq = 1"));
  down = false;
  open();
  ASSERT_TRUE(calls_.wait_for(4));
  EXPECT_GE(wall_ms(), due_at) << "a restart does not shorten the wait";
  close();
  EXPECT_THAT(calls_.values(), ElementsAre("EV1.1", "EV3.1", "EV1.1", "EV2.1"));
  EXPECT_EQ(one("SELECT group_concat(state || attempts) FROM (SELECT * FROM delivery ORDER BY seq)"), "done1,done1,done1");
  EXPECT_EQ(one("SELECT count(*) FROM attempt"), "0");
}

TEST_F(DispatcherStoreTest, APendingOneIsRunAgainAfterARestart) {
  std::vector<std::shared_ptr<Delivery>> held;
  subscribers_[0].handle = [&](Delivery& d) -> HandlerResult {
    bool first = calls_.size() == 0;
    if (first) held.push_back(d.shared_from_this());
    static_cast<void>(d.put_record("things", "a", first ? "\"lost\"" : "\"kept\"", store::kAnyVersion));
    calls_.add(d.event().external_id + "." + std::to_string(d.attempt()));
    return first ? HandlerResult{Outcome::kPending, {}} : HandlerResult{};
  };
  open(1);
  put(1, "k");
  put(2, "k");
  ASSERT_TRUE(committed_.events.wait_for(2));
  ASSERT_TRUE(calls_.wait_for(1));
  close(10);
  EXPECT_EQ(held.front()->complete({}).code(), Code::kGone);
  open(1);
  ASSERT_TRUE(calls_.wait_for(3));
  close();
  EXPECT_THAT(calls_.values(), ElementsAre("EV1.1", "EV1.1", "EV2.1"));
  EXPECT_EQ(one("SELECT value || version FROM record"), "\"kept\"2");
}

TEST_F(DispatcherStoreTest, ManyWithEffectsFromManyThreads) {
  constexpr uint64_t kDeliveries = 5000;
  subscribers_[0].handle = [&](Delivery& d) -> HandlerResult {
    static_cast<void>(d.emit("acme.sub", "{}"));
    static_cast<void>(d.put_record("things", d.event().external_id, "1", 0));
    return d.seq() % 10 == 0 && d.attempt() == 1 ? HandlerResult{Outcome::kRetry, "once more"} : HandlerResult{};
  };
  open();
  for (uint64_t i = 1; i <= kDeliveries; ++i) put(i, std::to_string(i % 100));
  ASSERT_TRUE(wait_until_settled(kDeliveries));
  close();
  EXPECT_EQ(one("SELECT count(*) FROM record WHERE version=1"), std::to_string(kDeliveries));
  EXPECT_EQ(one("SELECT count(*) FROM event WHERE type='acme.sub' AND depth=1"), std::to_string(kDeliveries));
  EXPECT_EQ(one("SELECT count(*) FROM attempt"), std::to_string(kDeliveries / 10));
  EXPECT_EQ(one("SELECT count(*) FROM (SELECT seq FROM event GROUP BY seq HAVING count(*) > 1)"), "0");
}

TEST_F(DispatcherStoreTest, EmittedEventsAreHandledInTheirTurnAndToADepth) {
  subscribers_[0].handle = [&](Delivery& d) -> HandlerResult {
    Status s = d.emit("acme.follow_on", "{}");
    calls_.add(std::to_string(d.event().depth) + d.event().order_key + (s ? "" : "!"));
    return {};
  };
  open();
  put(1, "k");
  ASSERT_TRUE(wait_until_settled(1 + kMaxDepth));
  close();
  std::vector<std::string> expected;
  for (uint32_t depth = 0; depth < kMaxDepth; ++depth) expected.push_back(std::to_string(depth) + "k");
  expected.push_back(std::to_string(kMaxDepth) + "k!");
  EXPECT_EQ(calls_.values(), expected);
  EXPECT_EQ(one("SELECT count(*) FROM event"), std::to_string(1 + kMaxDepth));
}

TEST_F(DispatcherStoreTest, AStoreThatIsLockedForAWhileLosesNoOutcome) {
  std::promise<void> is_in, go;
  subscribers_[0].handle = [&](Delivery& d) -> HandlerResult {
    is_in.set_value();
    go.get_future().wait();
    static_cast<void>(d.put_record("things", "a", "1", 0));
    return {};
  };
  open();
  put(1);
  is_in.get_future().wait();
  {
    store::testing::Sql other(path(), false);
    other.run("BEGIN IMMEDIATE");
    go.set_value();
    store::testing::Committed later;
    store_->submit(pending(new_event(2), later));
    ASSERT_TRUE(later.events.wait_for(1));
    EXPECT_EQ(later.events.values()[0]->status.code(), Code::kUnavailable);
    other.run("ROLLBACK");
  }
  ASSERT_TRUE(wait_until_settled(1));
  EXPECT_EQ(one("SELECT value || version FROM record"), "11");
}

}  // namespace
}  // namespace postern::dispatch
