// What the store does when the disk or another program is against it. The faults come from a file layer under SQLite.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/file.h>
#include <unistd.h>

#include "tests/unit/store/faulty_vfs.h"
#include "tests/unit/store/store_support.h"

namespace postern::store {
namespace {

using ingest::Outcome;
using Kind = Settlement::Kind;
using testing::FaultyVfs;
using testing::new_event;
using testing::pending;
using testing::settlement;
using testing::Sql;

class FailureTest : public testing::StoreTest {
 protected:
  void SetUp() override { open(); }
  void TearDown() override {
    heal();
    close();
  }
  static void heal() {
    for (auto* fault :
         {&FaultyVfs::log_sync, &FaultyVfs::log_write, &FaultyVfs::database_sync, &FaultyVfs::database_write}) {
      *fault = SQLITE_OK;
    }
  }
  std::unique_ptr<ingest::PendingEvent> put_large(uint64_t number) {
    ingest::NewEvent event = new_event(number);
    event.body = std::string(1 << 20, 'x');
    return put(std::move(event));
  }
  void expect_nothing_is_taken_any_more(uint64_t number, int64_t delivery) {
    EXPECT_EQ(fatal_.size(), 1u);
    EXPECT_EQ(store_->accepting().code(), Code::kUnavailable);
    for (int i = 0; i < 3; ++i) {
      auto event = put(new_event(number));
      EXPECT_EQ(event->outcome, Outcome::kFailed);
      EXPECT_FALSE(event->status);
      EXPECT_EQ(settle(settlement(delivery, Kind::kDone))->status.code(), Code::kUnavailable);
    }
    EXPECT_EQ(fatal_.size(), 1u);
  }

  FaultyVfs vfs_;  // made before the store, gone after it
};

// What is committed when a sync begins is durable when it ends; the next transaction may be there by then.
TEST_F(FailureTest, AnsweredOnlyWhenTheLogIsSynced) {
  auto count = [this](const char* sql) { return std::stoll(Sql(path()).one(sql)); };
  int64_t events = 0, settled = 0, durable_events = 0, durable_settled = 0;
  FaultyVfs::before_log_sync = [&] {
    events = count("SELECT ifnull(max(seq), 0) FROM event");
    settled = count("SELECT count(*) FROM delivery WHERE state = 'done'");
  };
  FaultyVfs::after_log_sync = [&] {
    durable_events = events;
    durable_settled = settled;
  };
  testing::Committed committed;
  size_t too_early = 0, told = 0;
  committed.look = [&](const auto& batch) {
    for (const auto& event : batch) too_early += event->seq > durable_events;
  };
  settled_.look = [&](const auto& batch) {
    told += batch.size();
    too_early += static_cast<int64_t>(told) > durable_settled;
  };
  for (uint64_t i = 0; i < 500; ++i) store_->submit(pending(new_event(i, {{"acme", "handlers"}}), committed));
  ASSERT_TRUE(settled_.deliveries.wait_for(500));
  for (const OpenDelivery& d : settled_.deliveries.take()) store_->submit_settlement(settlement(d.seq, Kind::kDone));
  ASSERT_TRUE(settled_.settlements.wait_for(500));
  EXPECT_EQ(too_early, 0u);
  FaultyVfs::before_log_sync = FaultyVfs::after_log_sync = nullptr;  // they hold what is of this test
}

TEST_F(FailureTest, TheNextBatchIsWrittenWhileOneIsSynced) {
  testing::Committed committed;
  put(new_event(1));
  std::promise<void> go_on;
  auto gate = go_on.get_future().share();
  std::atomic<int> syncs{0};
  testing::HeldCommitter held(*store_);
  FaultyVfs::before_log_sync = [&] {
    if (++syncs == 1) gate.wait();
  };
  for (uint64_t i = 10; i < 10 + 4096 + 5; ++i) store_->submit(pending(new_event(i), committed));  // more than a batch takes
  held.release();
  while (testing::Sql(path()).one("SELECT count(*) FROM event") != std::to_string(2 + 4096 + 5)) std::this_thread::yield();
  EXPECT_EQ(committed.events.size(), 0u) << "though another batch is written, the first one is not durable";
  go_on.set_value();
  ASSERT_TRUE(committed.events.wait_for(4096 + 5));
  EXPECT_EQ(committed.batches.size(), 2u);
  EXPECT_EQ(committed.events.values().front()->seq, 3);
  EXPECT_EQ(committed.events.values().back()->seq, 2 + 4096 + 5) << "told in their order";
  FaultyVfs::before_log_sync = nullptr;
}

// Nobody knows what the sync of a later batch has brought to the disk of an earlier one.
TEST_F(FailureTest, AfterAFailedSyncTheBatchThatWasWrittenMeanwhileFailsToo) {
  testing::Committed committed;
  put(new_event(1));
  testing::HeldCommitter held(*store_);
  FaultyVfs::before_log_sync = [] { FaultyVfs::log_sync = SQLITE_IOERR_FSYNC; };  // from the next one on
  for (uint64_t i = 10; i < 10 + 3 * 4096; ++i) store_->submit(pending(new_event(i), committed));
  held.release();
  ASSERT_TRUE(committed.events.wait_for(3 * 4096));
  auto stored = std::count_if(committed.events.values().begin(), committed.events.values().end(),
                              [](const auto& event) { return event->outcome == Outcome::kStored; });
  EXPECT_EQ(stored, 4096);
  EXPECT_EQ(fatal_.size(), 1u);
  FaultyVfs::before_log_sync = nullptr;
  fatal_.take();
}

TEST_F(FailureTest, ManyEventsShareOneSync) {
  testing::Committed committed;
  put(new_event(1));
  testing::HeldCommitter held(*store_);
  for (uint64_t i = 10; i < 3010; ++i) store_->submit(pending(new_event(i), committed));
  uint64_t before = FaultyVfs::log_syncs, batches = store_->counters().batches;
  held.release();
  ASSERT_TRUE(committed.events.wait_for(3000));
  EXPECT_EQ(committed.batches.size(), 1u);
  EXPECT_EQ(FaultyVfs::log_syncs - before, 1u);
  EXPECT_EQ(store_->counters().batches - batches, 1u);
}

TEST_F(FailureTest, AFailedSyncStopsTheStore) {
  auto first = put(new_event(1, {{"acme", "handlers"}}));
  ASSERT_TRUE(settled_.deliveries.wait_for(1));
  int64_t delivery = settled_.deliveries.take().front().seq;
  FaultyVfs::log_sync = SQLITE_IOERR_FSYNC;
  auto failed = put(new_event(2));
  EXPECT_EQ(failed->outcome, Outcome::kFailed);
  EXPECT_EQ(failed->status.code(), Code::kIo);
  FaultyVfs::log_sync = SQLITE_OK;  // that it works again makes no difference
  expect_nothing_is_taken_any_more(3, delivery);

  fatal_.take();
  restart();
  EXPECT_EQ(put(new_event(1))->event_id, first->event_id);
  EXPECT_NE(put(new_event(2))->outcome, Outcome::kFailed);
  EXPECT_EQ(put(new_event(3))->outcome, Outcome::kStored);
  EXPECT_EQ(store_->counters().open, 1u);
}

TEST_F(FailureTest, AFailedSyncOfASettlementStopsTheStore) {
  int64_t delivery = put_delivery(1);
  FaultyVfs::log_sync = SQLITE_IOERR_FSYNC;
  EXPECT_EQ(settle(settlement(delivery, Kind::kDone))->status.code(), Code::kIo);
  FaultyVfs::log_sync = SQLITE_OK;
  expect_nothing_is_taken_any_more(3, delivery);
}

TEST_F(FailureTest, AFailedWriteStopsTheStore) {
  int64_t delivery = put_delivery(1);
  FaultyVfs::log_write = SQLITE_IOERR_WRITE;
  EXPECT_EQ(put(new_event(2))->outcome, Outcome::kFailed);
  FaultyVfs::log_write = SQLITE_OK;
  expect_nothing_is_taken_any_more(3, delivery);
}

TEST_F(FailureTest, EverybodyInAFailedBatchIsTold) {
  testing::Committed one, other;
  int64_t delivery = put_delivery(1);
  testing::HeldCommitter held(*store_);
  for (uint64_t i = 10; i < 20; ++i) store_->submit(pending(new_event(i), i % 2 == 0 ? one : other));
  store_->submit(pending(new_event(10), one));  // a duplicate of one that fails must fail too
  store_->submit_settlement(settlement(delivery, Kind::kDone));
  FaultyVfs::log_sync = SQLITE_IOERR_FSYNC;
  held.release();
  ASSERT_TRUE(one.events.wait_for(6));
  ASSERT_TRUE(other.events.wait_for(5));
  ASSERT_TRUE(settled_.settlements.wait_for(1));
  for (auto* committed : {&one, &other}) {
    EXPECT_EQ(committed->batches.size(), 1u);
    for (const auto& event : committed->events.values()) EXPECT_EQ(event->outcome, Outcome::kFailed);
  }
  EXPECT_FALSE(settled_.settlements.values()[0]->status);
  EXPECT_EQ(settled_.deliveries.size(), 0u);
}

TEST_F(FailureTest, ADiskThatIsFullForAWhile) {
  int64_t delivery = put_delivery(1);
  FaultyVfs::log_write = SQLITE_FULL;
  for (uint64_t i = 2; i < 5; ++i) {
    auto failed = put(new_event(i, {{"acme", "handlers"}}));
    EXPECT_EQ(failed->outcome, Outcome::kFailed);
    EXPECT_EQ(failed->status.code(), Code::kUnavailable) << failed->status.message();
    EXPECT_EQ(settle(settlement(delivery, Kind::kDone))->status.code(), Code::kUnavailable);
  }
  EXPECT_TRUE(store_->accepting());
  EXPECT_EQ(settled_.deliveries.size(), 0u);
  FaultyVfs::log_write = SQLITE_OK;
  for (uint64_t i = 2; i < 5; ++i)
    EXPECT_EQ(put(new_event(i))->outcome, Outcome::kStored) << "counted as a duplicate of nothing";
  EXPECT_TRUE(settle(settlement(delivery, Kind::kDone))->status);
  EXPECT_EQ(fatal_.size(), 0u);
  EXPECT_EQ(store_->counters().open, 0u);
  EXPECT_EQ(store_->counters().events, 4u);
  restart();
  EXPECT_EQ(one("SELECT count(*) || ' ' || count(DISTINCT seq) FROM event"), "4 4");
  EXPECT_EQ(one("PRAGMA integrity_check"), "ok");
}

// Larger than the page cache, so that the transaction spills into the log before its commit.
TEST_F(FailureTest, ADiskThatGetsFullInTheMiddleOfATransaction) {
  put(new_event(1));
  FaultyVfs::log_write = SQLITE_FULL;
  ingest::NewEvent large = new_event(2);
  large.body = std::string(40 << 20, 'x');
  EXPECT_EQ(put(large)->status.code(), Code::kUnavailable);
  FaultyVfs::log_write = SQLITE_OK;
  EXPECT_EQ(put(large)->outcome, Outcome::kStored);
  EXPECT_EQ(fatal_.size(), 0u);
}

TEST_F(FailureTest, AStoreThatIsLockedByAnotherProgramForAWhile) {
  put(new_event(1));
  Sql other(path(), false);
  other.run("BEGIN IMMEDIATE");
  int64_t before = steady_ms();
  auto failed = put(new_event(2));
  EXPECT_LT(steady_ms() - before, 6000);
  EXPECT_EQ(failed->outcome, Outcome::kFailed);
  EXPECT_EQ(failed->status.code(), Code::kUnavailable);
  other.run("ROLLBACK");
  EXPECT_EQ(put(new_event(2))->outcome, Outcome::kStored);
  EXPECT_EQ(fatal_.size(), 0u);
}

// The page cache cannot be trusted after a fault, so the database file is not touched any more: the next start
// recovers.
TEST_F(FailureTest, AfterAFaultTheLogIsLeftToTheNextStart) {
  put(new_event(1));
  FaultyVfs::log_sync = SQLITE_IOERR_FSYNC;
  put(new_event(2));
  FaultyVfs::log_sync = SQLITE_OK;
  uint64_t before = FaultyVfs::database_syncs;
  close();
  EXPECT_EQ(FaultyVfs::database_syncs, before);
  EXPECT_TRUE(std::filesystem::exists(path() + "-wal"));
  fatal_.take();
  open();
  EXPECT_EQ(put(new_event(1))->outcome, Outcome::kDuplicate);
}

// Closing moves the log into the database: a second gateway must not open it before that has ended.
TEST_F(FailureTest, TheLockOutlivesTheDatabase) {
  put(new_event(1));
  size_t syncs = 0, unlocked = 0;
  FaultyVfs::before_database_sync = [&] {
    ++syncs;
    int fd = ::open((path() + ".lock").c_str(), O_RDWR | O_CLOEXEC);
    unlocked += ::flock(fd, LOCK_EX | LOCK_NB) == 0;
    ::close(fd);
  };
  close();
  EXPECT_GT(syncs, 0u);
  EXPECT_EQ(unlocked, 0u);
}

// ---- checkpoints

TEST_F(FailureTest, TheLogIsMovedIntoTheDatabase) {
  for (uint64_t i = 0; i < 40; ++i) put_large(i);
  EXPECT_GT(FaultyVfs::database_syncs, 0u);
  EXPECT_LT(std::filesystem::file_size(path() + "-wal"), 30u << 20);
}

TEST_F(FailureTest, AFailedSyncOfACheckpointStopsTheStore) {
  int64_t delivery = put_delivery(1000);
  FaultyVfs::database_sync = SQLITE_IOERR_FSYNC;
  uint64_t number = 0;
  std::vector<std::string> acknowledged;
  while (fatal_.size() == 0 && number < 100) {
    auto event = put_large(number++);
    if (event->outcome == Outcome::kStored) acknowledged.push_back(event->event_id);
  }
  FaultyVfs::database_sync = SQLITE_OK;
  ASSERT_TRUE(fatal_.wait_for(1));
  expect_nothing_is_taken_any_more(500, delivery);
  restart();
  for (const std::string& id : acknowledged) EXPECT_EQ(one("SELECT count(*) FROM event WHERE id='" + id + "'"), "1");
}

TEST_F(FailureTest, ACheckpointOntoAFullDiskIsTriedAgain) {
  FaultyVfs::database_write = SQLITE_FULL;
  for (uint64_t i = 0; i < 30; ++i) EXPECT_EQ(put_large(i)->outcome, Outcome::kStored);
  EXPECT_EQ(fatal_.size(), 0u);
  FaultyVfs::database_write = SQLITE_OK;
  uint64_t before = FaultyVfs::database_syncs;
  put_large(100);
  put_large(101);
  EXPECT_GT(FaultyVfs::database_syncs, before);
}

// A reader that stays (a backup, a forgotten shell) keeps the log from starting over; it must not keep events from
// being stored.
TEST_F(FailureTest, AReaderThatStaysDelaysNobody) {
  put(new_event(100'000));
  Sql reader(path());
  reader.run("BEGIN");
  reader.one("SELECT count(*) FROM event");
  uint64_t number = 0;
  int64_t slowest = 0;
  auto timed = [&](ingest::NewEvent event) {
    int64_t begin = steady_ms();
    EXPECT_EQ(put(std::move(event))->outcome, Outcome::kStored);
    slowest = std::max(slowest, steady_ms() - begin);
  };
  for (int i = 0; i < 34; ++i) {  // 272 MB of log
    ingest::NewEvent large = new_event(number++);
    large.body = std::string(8 << 20, 'x');
    put(std::move(large));
  }
  for (int i = 0; i < 3; ++i) timed(new_event(number++));
  EXPECT_LT(slowest, 1500);
}

}  // namespace
}  // namespace postern::store
