#include "core/store/sqlite/record_buffer.h"

#include "core/store/sqlite/schema.h"
#include "tests/unit/store/store_support.h"

namespace postern::store::sqlite {
namespace {

using testing::new_event;
using testing::pending;
using testing::settlement;

class RecordBufferTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = Database::open(folder_.file("events.db"), false);
    ASSERT_TRUE(opened.is_ok());
    database_ = std::move(*opened);
    ASSERT_TRUE(prepare_schema(database_).is_ok());
    load();
  }
  void TearDown() override { buffer_.reset(); }

  // As after a restart.
  void load() {
    buffer_ = std::make_unique<RecordBuffer>(RecordBuffer::Limits{10, 1 << 20});
    Status s = buffer_->load(database_);
    ASSERT_TRUE(s.is_ok()) << s.message();
  }
  void run(const char* sql) {
    Status s = database_.execute(sql);
    ASSERT_TRUE(s.is_ok()) << s.message();
  }
  void begin() { run("BEGIN IMMEDIATE"); }
  void commit() {
    run("COMMIT");
    buffer_->commit();
  }
  void rollback() {
    run("ROLLBACK");
    buffer_->rollback();
  }
  static std::string id(const std::string& key) { return RecordBuffer::id_of("acme", "things", key); }
  uint64_t version(const std::string& key) {
    auto found = buffer_->version(id(key));
    EXPECT_TRUE(found.is_ok());
    return *found;
  }
  void write(const std::string& key, const std::string& value, bool direct = false) {
    Status s = buffer_->write(id(key), value, version(key) + 1, ++now_, direct);
    ASSERT_TRUE(s.is_ok()) << s.message();
  }
  void merge(size_t budget) {
    Status s = buffer_->merge(budget);
    ASSERT_TRUE(s.is_ok()) << s.message();
  }
  void put(const std::string& key, const std::string& value, bool direct = false) {
    begin();
    write(key, value, direct);
    commit();
  }
  void step(size_t budget) {
    begin();
    merge(budget);
    commit();
  }
  // Batches of nothing, until all is in the table.
  void merge_all(size_t budget = 3) {
    for (int i = 0; i < 1000 && buffer_->has_work(); ++i) step(budget);
    EXPECT_FALSE(buffer_->has_work());
  }
  std::string in_memory(const std::string& key) {
    auto found = buffer_->find(id(key)).record;
    return found ? found->value + " v" + std::to_string(found->version) : "(none)";
  }
  std::string in_table(const std::string& key) {
    return testing::Sql(folder_.file("events.db"))
        .one("SELECT value || ' v' || version || ' ' || updated_at FROM record WHERE key = '" + key + "'");
  }
  int64_t log_rows() { return *database_.integer("SELECT count(*) FROM record_log"); }

  testing::TempFolder folder_;
  Database database_;
  std::unique_ptr<RecordBuffer> buffer_;
  int64_t now_ = 0;
};

TEST_F(RecordBufferTest, IdsOfDifferentRecordsDiffer) {
  std::string nul("\0", 1);
  EXPECT_NE(RecordBuffer::id_of("a", "bc", "d"), RecordBuffer::id_of("ab", "c", "d"));
  EXPECT_NE(RecordBuffer::id_of("a", "b", "cd"), RecordBuffer::id_of("a", "bc", "d"));
  EXPECT_NE(RecordBuffer::id_of("a" + nul + "b", "c", "d"), RecordBuffer::id_of("a", "b" + nul + "c", "d"));
}

TEST_F(RecordBufferTest, FoundByOthersOnlyWhenCommitted) {
  begin();
  write("a", "1");
  EXPECT_EQ(version("a"), 1u);
  EXPECT_EQ(in_memory("a"), "(none)");
  write("a", "2");
  commit();
  EXPECT_EQ(in_memory("a"), "2 v2");
  EXPECT_EQ(in_table("a"), "(no row)");
}

TEST_F(RecordBufferTest, RollbackForgetsOnlyItsOwn) {
  put("a", "1");
  begin();
  write("a", "2");
  write("b", "1");
  rollback();
  EXPECT_EQ(in_memory("a"), "1 v1");
  EXPECT_EQ(in_memory("b"), "(none)");
  EXPECT_EQ(version("a"), 1u);
  EXPECT_EQ(version("b"), 0u);
  merge_all();
  EXPECT_EQ(in_table("a"), "1 v1 1");
  EXPECT_EQ(in_table("b"), "(no row)");
}

TEST_F(RecordBufferTest, MergesInSlicesAndIsFoundAllTheWhile) {
  for (int i = 0; i < 10; ++i) put("k" + std::to_string(i), "x");
  for (int slice = 0; buffer_->has_work() && slice < 100; ++slice) {
    step(3);
    for (int i = 0; i < 10; ++i) {
      std::string key = "k" + std::to_string(i), expected = std::to_string(i + 1);
      ASSERT_EQ(version(key), 1u);
      ASSERT_TRUE(in_memory(key) == "x v1" || in_table(key) == "x v1 " + expected) << key;
    }
  }
  EXPECT_EQ(buffer_->in_memory(), 0u);
  EXPECT_EQ(log_rows(), 0);
  EXPECT_EQ(*database_.integer("SELECT count(*) FROM record"), 10);
}

TEST_F(RecordBufferTest, ARecordWrittenDuringAPassStaysTheNewest) {
  for (const char* key : {"a", "b", "c"}) put(key, "old");
  step(2);  // a and b are in the table, c is not
  for (const char* key : {"a", "c"}) put(key, "new");
  EXPECT_EQ(in_memory("a"), "new v2");
  EXPECT_EQ(in_memory("c"), "new v2");
  load();  // and after a crash here too
  EXPECT_EQ(version("a"), 2u);
  EXPECT_EQ(version("c"), 2u);
  merge_all();
  EXPECT_EQ(in_table("a"), "new v2 4");
  EXPECT_EQ(in_table("b"), "old v1 2");
  EXPECT_EQ(in_table("c"), "new v2 5");
}

TEST_F(RecordBufferTest, ReadBackAfterACrashAnywhere) {
  for (int after = 0; after < 12; ++after) {
    for (const char* key : {"a", "b", "c", "d"}) put(key, std::to_string(after));
    for (int i = 0; i < after; ++i) step(1);
    load();
    for (const char* key : {"a", "b", "c", "d"}) ASSERT_EQ(version(key), static_cast<uint64_t>(after + 1)) << after;
  }
  merge_all();
  for (const char* key : {"a", "b", "c", "d"}) EXPECT_EQ(in_table(key).substr(0, 6), "11 v12");
}

TEST_F(RecordBufferTest, ARolledBackSliceIsMergedAgain) {
  for (const char* key : {"a", "b", "c"}) put(key, "1");
  step(1);
  begin();
  merge(10);
  write("d", "1");
  rollback();
  for (const char* key : {"b", "c"}) EXPECT_EQ(in_memory(key), "1 v1");
  EXPECT_EQ(version("a"), 1u);
  merge_all();
  for (const char* key : {"a", "b", "c"}) EXPECT_EQ(in_table(key).substr(0, 4), "1 v1");
  EXPECT_EQ(in_table("d"), "(no row)");
}

TEST_F(RecordBufferTest, ARolledBackPurgeIsDoneAgain) {
  put("a", "1");
  step(10);
  EXPECT_EQ(log_rows(), 1);
  begin();
  merge(10);
  rollback();
  EXPECT_EQ(log_rows(), 1);
  EXPECT_TRUE(buffer_->has_work());
  merge_all();
  EXPECT_EQ(log_rows(), 0);
}

// ---- removal and lists

TEST_F(RecordBufferTest, ARemovedRecordHidesTheTablesUntilItIsMerged) {
  for (const char* key : {"a", "b", "c"}) put(key, "1");
  merge_all();
  begin();
  ASSERT_TRUE(buffer_->write(id("b"), "", 0, ++now_, false));
  EXPECT_EQ(version("b"), 0u);
  commit();
  EXPECT_EQ(in_memory("b"), " v0");
  EXPECT_EQ(in_table("b").substr(0, 4), "1 v1");
  load();  // after a crash too
  EXPECT_EQ(version("b"), 0u);
  merge_all();
  EXPECT_EQ(in_table("b"), "(no row)");
  EXPECT_EQ(version("b"), 0u);
}

TEST_F(RecordBufferTest, ListsBothGenerationsAsOne) {
  for (const char* key : {"a", "b", "c"}) put(key, "old");
  step(1);  // a is in the table; b and c are frozen
  for (const char* key : {"b", "d"}) put(key, "new");
  auto keys = [&](const std::string& after, size_t limit) {
    std::string text;
    RecordFilter filter{"acme", "things", "", after, limit};
    for (const auto& [key, record] : buffer_->list(filter)) text += key + "=" + record.value + " ";
    return text;
  };
  EXPECT_EQ(keys("", 100), "b=new c=old d=new ");
  EXPECT_EQ(keys("b", 100), "c=old d=new ");
  EXPECT_EQ(keys("", 2), "b=new c=old ");
}

// ---- directly into the table

TEST_F(RecordBufferTest, DirectWhileNothingWaits) {
  put("a", "1", true);
  EXPECT_EQ(in_table("a"), "1 v1 1");
  EXPECT_EQ(in_memory("a"), "(none)");
  EXPECT_EQ(version("a"), 1u);
  EXPECT_EQ(log_rows(), 0);
  begin();
  write("a", "2", true);
  EXPECT_EQ(version("a"), 2u);
  rollback();
  EXPECT_EQ(version("a"), 1u);
}

TEST_F(RecordBufferTest, NeverDirectPastTheLog) {
  put("a", "1");
  put("a", "2", true);
  EXPECT_EQ(in_table("a"), "(no row)");
  EXPECT_EQ(in_memory("a"), "2 v2");
  begin();
  merge(10);
  write("a", "3", true);  // its pass ends only with this transaction
  rollback();
  load();
  EXPECT_EQ(version("a"), 2u);
  merge_all();
  put("a", "3", true);
  EXPECT_EQ(in_table("a").substr(0, 4), "3 v3");
  load();
  EXPECT_EQ(version("a"), 3u);
}

TEST_F(RecordBufferTest, DirectAgainAfterARollback) {
  begin();
  write("a", "1");
  rollback();
  put("b", "1", true);
  EXPECT_EQ(in_table("b").substr(0, 4), "1 v1");
}

TEST_F(RecordBufferTest, IsFullByEntriesOrBytes) {
  for (int i = 0; i < 10; ++i) put("k" + std::to_string(i), "x");
  EXPECT_FALSE(buffer_->is_full());
  put("one more", "x");
  EXPECT_TRUE(buffer_->is_full());
  merge_all();
  EXPECT_FALSE(buffer_->is_full());
  put("large", std::string(2 << 20, 'x'));
  EXPECT_TRUE(buffer_->is_full());
  put("large", "small");
  EXPECT_FALSE(buffer_->is_full());
}

// ---- in the store

class RecordsUnderLoadTest : public testing::StoreTest {
 protected:
  // In one batch with so many events that records are not written directly.
  void load_with(std::vector<std::unique_ptr<Settlement>> settlements) {
    testing::Committed committed;
    testing::HeldCommitter held(*store_);
    size_t count = settlements.size();
    for (int i = 0; i < 100; ++i) store_->submit(pending(new_event(++events_ + 10'000), committed));
    for (auto& s : settlements) store_->submit_settlement(std::move(s));
    held.release();
    ASSERT_TRUE(committed.events.wait_for(100));
    ASSERT_TRUE(settled_.settlements.wait_for(count));
    for (auto& s : settled_.settlements.take()) last_.push_back(s->status);
  }
  std::unique_ptr<Settlement> done(int64_t delivery, std::vector<RecordWrite> records) {
    auto made = settlement(delivery, Settlement::Kind::kDone);
    made->records = std::move(records);
    return made;
  }
  std::string record(const std::string& key) {
    auto found = store_->record("acme", "things", key);
    EXPECT_TRUE(found.is_ok());
    return *found ? (*found)->value + " v" + std::to_string((*found)->version) : "(none)";
  }
  std::string in_table(const std::string& key) {
    return one("SELECT value || ' v' || version FROM record WHERE plugin = 'acme' AND collection = 'things' AND key = '" + key +
               "'");
  }
  void wait_until_in_table(const std::string& key, const std::string& expected) {
    int64_t until = steady_ms() + 10'000;
    while (in_table(key) != expected && steady_ms() < until) std::this_thread::yield();
    EXPECT_EQ(in_table(key), expected);
  }
  uint64_t events_ = 0;
  std::vector<Status> last_;
};

TEST_F(RecordsUnderLoadTest, ReadAtOnceAndInTheTableSoonAfter) {
  open();
  std::vector<std::unique_ptr<Settlement>> all;
  all.push_back(done(put_delivery(1), {{"things", "a", "1", 0}}));
  load_with(std::move(all));
  EXPECT_EQ(record("a"), "1 v1");
  wait_until_in_table("a", "1 v1");
  EXPECT_EQ(record("a"), "1 v1");
}

TEST_F(RecordsUnderLoadTest, VersionsCountThroughTheBuffer) {
  open();
  settle(done(put_delivery(1), {{"things", "a", "1", 0}}));
  std::vector<std::unique_ptr<Settlement>> all;
  all.push_back(done(put_delivery(2), {{"things", "a", "2", 1}, {"things", "a", "3", 2}}));
  all.push_back(done(put_delivery(3), {{"things", "b", "1", 0}, {"things", "a", "no", 1}}));
  all.push_back(done(put_delivery(4), {{"things", "a", "4", 3}}));
  load_with(std::move(all));
  ASSERT_EQ(last_.size(), 3u);
  EXPECT_TRUE(last_[0]);
  EXPECT_EQ(last_[1].code(), Code::kConflict);
  EXPECT_TRUE(last_[2]);
  EXPECT_EQ(record("a"), "4 v4");
  EXPECT_EQ(record("b"), "(none)");
  wait_until_in_table("a", "4 v4");
}

TEST_F(RecordsUnderLoadTest, StoppingMovesEverythingToTheTable) {
  open();
  std::vector<std::unique_ptr<Settlement>> all;
  for (uint64_t i = 1; i <= 20; ++i) all.push_back(done(put_delivery(i), {{"things", std::to_string(i), "x", 0}}));
  load_with(std::move(all));
  close();
  EXPECT_EQ(one("SELECT count(*) FROM record"), "20");
  EXPECT_EQ(one("SELECT count(*) FROM record_log"), "0");
}

// With a bound of a few records every batch has to merge.
TEST_F(RecordsUnderLoadTest, ASmallBoundOnlyCostsTime) {
  limits_.records.entries = 3;
  open();
  for (int round = 0; round < 20; ++round) {
    std::vector<std::unique_ptr<Settlement>> all;
    for (int i = 0; i < 10; ++i) {
      int64_t delivery = put_delivery(++events_);
      auto version = static_cast<uint64_t>(round);
      all.push_back(done(delivery, {{"things", "k" + std::to_string(i), std::to_string(round), version}}));
    }
    load_with(std::move(all));
  }
  for (const Status& s : last_) ASSERT_TRUE(s) << s.message();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(record("k" + std::to_string(i)), "19 v20");
  restart();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(in_table("k" + std::to_string(i)), "19 v20");
}

TEST_F(RecordsUnderLoadTest, AStoreOfTheFirstVersionIsTakenOver) {
  open();
  settle(done(put_delivery(1), {{"things", "a", "1", 0}}));
  close();
  testing::downgrade(path(), 1);
  open();
  EXPECT_EQ(record("a"), "1 v1");
  EXPECT_TRUE(settle(done(put_delivery(2), {{"things", "a", "2", 1}}))->status);
  EXPECT_EQ(one("PRAGMA user_version"), std::to_string(kSchemaVersion));
}

}  // namespace
}  // namespace postern::store::sqlite
