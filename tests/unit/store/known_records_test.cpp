#include "core/store/sqlite/known_records.h"

#include "core/store/sqlite/record_buffer.h"
#include "core/store/sqlite/schema.h"
#include "tests/unit/store/store_support.h"

namespace postern::store::sqlite {
namespace {

std::string id(const std::string& key, const std::string& collection = "things") { return RecordBuffer::id_of("acme", collection, key); }

class KnownRecordsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = Database::open(path(), false);
    ASSERT_TRUE(opened.is_ok());
    database_ = std::move(*opened);
    ASSERT_TRUE(prepare_schema(database_).is_ok());
  }
  std::string path() const { return folder_.file("events.db"); }
  void run(const std::string& sql) {
    Status s = database_.execute(sql.c_str());
    ASSERT_TRUE(s.is_ok()) << s.message();
  }
  // The keys are the numbers 1 to `count`.
  void fill(int count) {
    run("INSERT INTO record SELECT 'acme', 'things', value, 'x', 1, 0 FROM (WITH RECURSIVE c(value) AS (SELECT 1 UNION ALL SELECT "
        "value + 1 FROM c WHERE value < " + std::to_string(count) + ") SELECT value FROM c)");
  }
  size_t found(int from, int to) {
    size_t n = 0;
    for (int i = from; i <= to; ++i) n += known_.may_have(id(std::to_string(i)));
    return n;
  }

  testing::TempFolder folder_;
  Database database_;
  KnownRecords known_;
};

TEST_F(KnownRecordsTest, EverythingMayBeThereUntilTheTableIsRead) {
  EXPECT_TRUE(known_.may_have(id("1")));
  ASSERT_TRUE(known_.read(path()).is_ok());
  EXPECT_FALSE(known_.may_have(id("1")));
}

// More than is read in one transaction, and exactly so much, and one less.
TEST_F(KnownRecordsTest, KnowsAllOfTheTableAndFewOthers) {
  for (int count : {999, 1000, 2500}) {
    run("DELETE FROM record");
    fill(count);
    KnownRecords known;
    ASSERT_TRUE(known.read(path()).is_ok());
    size_t own = 0, others = 0;
    for (int i = 1; i <= count; ++i) own += known.may_have(id(std::to_string(i)));
    for (int i = 1; i <= 10'000; ++i) others += known.may_have(id(std::to_string(i), "other things"));
    EXPECT_EQ(own, static_cast<size_t>(count));
    EXPECT_LT(others, 100u);
  }
}

TEST_F(KnownRecordsTest, WhatIsAddedWhileTheTableIsReadIsKnownToo) {
  fill(5000);
  known_.start(path());
  for (int i = 5001; i <= 6000; ++i) known_.add(id(std::to_string(i)));
  EXPECT_EQ(found(1, 6000), 6000u);
  known_.stop();  // whether or not it was done
  EXPECT_EQ(found(1, 6000), 6000u);
}

TEST_F(KnownRecordsTest, ATableThatCannotBeReadMayHaveEverything) {
  EXPECT_FALSE(known_.read(folder_.file("missing.db")).is_ok());
  EXPECT_TRUE(known_.may_have(id("1")));
}

// A record that is written over and over is one record.
TEST_F(KnownRecordsTest, TakesNoMoreMemoryForTheSameName) {
  known_.add(id("1"));
  size_t before = known_.bytes();
  for (int i = 0; i < 1'000'000; ++i) known_.add(id("1"));
  EXPECT_EQ(known_.bytes(), before);
}

// Whoever writes ever new names and removes them again must not fill the memory.
TEST_F(KnownRecordsTest, IsGivenUpBeyondItsBound) {
  KnownRecords small(1024 * 1024);
  ASSERT_TRUE(small.read(path()).is_ok());
  EXPECT_FALSE(small.may_have(id("x")));
  for (int i = 0; i < 1'000'000; ++i) small.add(id(std::to_string(i)));
  EXPECT_LE(small.bytes(), 1024u * 1024u);
  EXPECT_TRUE(small.may_have(id("x")));
  ASSERT_TRUE(small.read(path()).is_ok());
  EXPECT_TRUE(small.may_have(id("x")));
}

class RecordsOfAStore : public testing::StoreTest {
 protected:
  uint64_t next_ = 1;
};

// By way of the table and of the memory, before and after a restart.
TEST_F(RecordsOfAStore, AreFoundWhetherKnownOrNot) {
  open();
  auto write = [&](const std::string& key, const std::string& value) {
    auto settlement = testing::settlement(put_delivery(next_++), Settlement::Kind::kDone);
    settlement->plugin = "acme";
    settlement->records.push_back({"things", key, value, kAnyVersion});
    EXPECT_TRUE(settle(std::move(settlement))->status);
  };
  auto value = [&](const std::string& key) {
    auto found = store_->record("acme", "things", key);
    EXPECT_TRUE(found.is_ok());
    return *found ? (*found)->value : "(none)";
  };
  EXPECT_EQ(value("a"), "(none)");
  write("a", "1");
  EXPECT_EQ(value("a"), "1");
  write("a", "");
  EXPECT_EQ(value("a"), "(none)");
  write("a", "2");
  write("b", "3");
  for (int restarts = 0; restarts < 2; ++restarts) {
    EXPECT_EQ(value("a"), "2");
    EXPECT_EQ(value("b"), "3");
    EXPECT_EQ(value("c"), "(none)");
    restart();
  }
}

}  // namespace
}  // namespace postern::store::sqlite
