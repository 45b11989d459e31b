#include "core/store/sqlite/dedupe_index.h"

#include "core/base/ids.h"
#include "core/store/sqlite/schema.h"
#include "tests/unit/store/store_support.h"

namespace postern::store::sqlite {
namespace {

using testing::key_of;

constexpr int64_t kNow = 1'700'000'000'000;
constexpr int64_t kLater = kNow + testing::kDayMs;

class DedupeIndexTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = Database::open(folder_.file("events.db"), false);
    ASSERT_TRUE(opened.is_ok());
    database_ = std::move(*opened);
    ASSERT_TRUE(prepare_schema(database_).is_ok());
    load();
  }
  void TearDown() override { index_.reset(); }

  // As after a restart; the marks are the writer's task.
  void load() {
    auto last = database_.integer("SELECT ifnull(max(seq), 0) FROM event");
    ASSERT_TRUE(last.is_ok());
    index_ = std::make_unique<DedupeIndex>(kMergeAt);
    Status s = index_->load(database_, std::max(*last, seq_));
    ASSERT_TRUE(s.is_ok()) << s.message();
  }
  void run(const char* sql) {
    Status s = database_.execute(sql);
    ASSERT_TRUE(s.is_ok()) << s.message();
  }
  void begin(size_t budget = 0) {
    run("BEGIN IMMEDIATE");
    Status s = index_->merge(budget, now_);
    ASSERT_TRUE(s.is_ok()) << s.message();
  }
  void commit() {
    run("COMMIT");
    index_->commit();
  }
  void rollback() {
    run("ROLLBACK");
    index_->rollback();
  }
  // A new event in the open transaction: its row, and its key.
  std::string insert(uint64_t number, int64_t until = kLater) {
    std::string id = make_event_id(kNow, ++seq_);
    auto statement = database_.prepare(
        "INSERT INTO event (seq, dedupe_key, dedupe_until, received_at, id, provider, type, external_id, order_key, "
        "depth, method, "
        "target, remote, headers, body) VALUES (?1, ?2, ?3, 0, ?4, '', '', '', '', 0, '', '', '', x'', x'')");
    DedupeIndex::Key key = key_of(number);
    statement->bind(1, seq_)
        .bind_blob(2, {reinterpret_cast<const char*>(key.data()), key.size()})
        .bind(3, until)
        .bind(4, id);
    EXPECT_EQ(statement->run(), SQLITE_DONE);
    index_->insert(key, seq_, id, until);
    return id;
  }
  std::string find(uint64_t number) {
    auto found = index_->find(key_of(number), now_);
    EXPECT_TRUE(found.is_ok());
    return found->value_or("");
  }
  int64_t count(const char* table) { return *database_.integer(std::string("SELECT count(*) FROM ") + table); }
  // Batches of nothing, until the pass that goes on has ended.
  void finish_pass(size_t budget) {
    for (int i = 0; i < 1000 && (i == 0 || index_->merging()); ++i) {
      begin(budget);
      commit();
    }
    EXPECT_FALSE(index_->merging());
  }

  static constexpr size_t kMergeAt = 10;
  testing::TempFolder folder_;
  Database database_;
  std::unique_ptr<DedupeIndex> index_;
  int64_t seq_ = 0;
  int64_t now_ = kNow;
};

TEST_F(DedupeIndexTest, FindsWithinTheTransactionAndAfterIt) {
  begin();
  EXPECT_EQ(find(1), "");
  std::string id = insert(1);
  EXPECT_EQ(find(1), id);
  commit();
  EXPECT_EQ(find(1), id);
  EXPECT_EQ(find(2), "");
}

TEST_F(DedupeIndexTest, RollbackForgetsOnlyItsOwn) {
  begin();
  std::string first = insert(1);
  commit();
  begin();
  insert(2);
  rollback();
  EXPECT_EQ(find(1), first);
  EXPECT_EQ(find(2), "");
}

TEST_F(DedupeIndexTest, ExpiresToTheMillisecond) {
  begin();
  std::string id = insert(1, kNow + 1);
  commit();
  EXPECT_EQ(find(1), id);
  now_ = kNow + 1;
  EXPECT_EQ(find(1), "");
}

TEST_F(DedupeIndexTest, AnExpiredKeyCanBeTakenAgain) {
  begin();
  insert(1, kNow + 1);
  commit();
  now_ = kNow + 5;
  begin();
  std::string second = insert(1, kLater);
  commit();
  EXPECT_EQ(find(1), second);
  load();
  EXPECT_EQ(find(1), second);
}

TEST_F(DedupeIndexTest, ReadsBackFromTheEvents) {
  begin();
  std::string id = insert(1);
  commit();
  load();
  EXPECT_EQ(find(1), id);
}

TEST_F(DedupeIndexTest, FindsEachKeyAtEachStepOfAPass) {
  std::vector<std::string> ids;
  begin();
  for (uint64_t i = 0; i < kMergeAt; ++i) ids.push_back(insert(i));
  commit();
  for (int step = 0; step < 12; ++step) {
    begin(1);
    for (uint64_t i = 0; i < ids.size(); ++i) EXPECT_EQ(find(i), ids[i]) << "step " << step;
    commit();
    for (uint64_t i = 0; i < ids.size(); ++i) EXPECT_EQ(find(i), ids[i]) << "step " << step;
  }
  EXPECT_FALSE(index_->merging());
  EXPECT_EQ(index_->in_memory(), 0u);
  EXPECT_EQ(count("dedupe"), static_cast<int64_t>(kMergeAt));
}

TEST_F(DedupeIndexTest, ARestartAtEachStepOfAPassLosesNoKey) {
  std::vector<std::string> ids;
  begin();
  for (uint64_t i = 0; i < kMergeAt; ++i) ids.push_back(insert(i));
  commit();
  for (int step = 0; step < 15; ++step) {
    begin(1 + static_cast<size_t>(step) % 3);
    ids.push_back(insert(ids.size()));
    commit();
    if (step % 2 == 1) load();
    for (uint64_t i = 0; i < ids.size(); ++i) EXPECT_EQ(find(i), ids[i]) << "step " << step;
  }
}

TEST_F(DedupeIndexTest, ARolledBackSliceIsMergedAgain) {
  std::vector<std::string> ids;
  begin();
  for (uint64_t i = 0; i < kMergeAt; ++i) ids.push_back(insert(i));
  commit();
  begin(5);
  rollback();
  EXPECT_EQ(count("dedupe"), 0);
  begin(1000);
  rollback();  // the end of the pass too
  EXPECT_EQ(count("dedupe"), 0);
  for (uint64_t i = 0; i < ids.size(); ++i) EXPECT_EQ(find(i), ids[i]);
  finish_pass(4);
  EXPECT_EQ(count("dedupe"), static_cast<int64_t>(kMergeAt));
  load();
  EXPECT_EQ(index_->in_memory(), 0u);
  for (uint64_t i = 0; i < ids.size(); ++i) EXPECT_EQ(find(i), ids[i]);
}

TEST_F(DedupeIndexTest, KeysThatCameDuringAPassAreNotMarkedAsMerged) {
  begin();
  for (uint64_t i = 0; i < kMergeAt; ++i) insert(i);
  commit();
  begin(3);  // freezes
  std::string late = insert(100);
  commit();
  while (index_->merging()) {
    begin(3);
    commit();
  }
  EXPECT_EQ(count("dedupe"), static_cast<int64_t>(kMergeAt));
  load();
  EXPECT_EQ(find(100), late);
}

TEST_F(DedupeIndexTest, AMergedKeyOutlivesItsEvent) {
  std::vector<std::string> ids;
  begin();
  for (uint64_t i = 0; i < kMergeAt; ++i) ids.push_back(insert(i));
  commit();
  finish_pass(100);
  run("DELETE FROM event");
  load();
  for (uint64_t i = 0; i < ids.size(); ++i) EXPECT_EQ(find(i), ids[i]);
}

// A segment goes as a whole, when the last of its keys has expired; in slices, and also if a slice is rolled back.
TEST_F(DedupeIndexTest, APassDropsTheSegmentsThatHaveExpired) {
  begin();
  for (uint64_t i = 1; i <= 100; ++i) insert(i, i == 50 ? kNow + 20 : kNow + 10);
  commit();
  finish_pass(1000);
  EXPECT_EQ(count("dedupe"), 100);
  now_ = kNow + 19;
  begin();
  for (uint64_t i = 500; i < 510; ++i) insert(i);
  commit();
  finish_pass(7);
  EXPECT_EQ(count("dedupe"), 110);
  now_ = kNow + 20;
  begin();
  for (uint64_t i = 1000; i < 1200; ++i) insert(i);
  commit();
  begin(7);
  EXPECT_EQ(count("dedupe"), 110);  // seven gone, seven written
  rollback();
  for (int i = 0; i < 10; ++i) {
    begin(7);
    i % 2 == 0 ? commit() : rollback();
  }
  finish_pass(7);
  EXPECT_EQ(count("dedupe"), 210);
  EXPECT_EQ(*database_.integer("SELECT count(*) FROM dedupe WHERE expires_at < " + std::to_string(kLater)), 0);
  for (uint64_t i = 1; i <= 100; ++i) EXPECT_EQ(find(i), "");
  for (uint64_t i = 500; i < 510; ++i) EXPECT_NE(find(i), "");
}

// Also when a restart finds the rest of them.
TEST_F(DedupeIndexTest, WhatIsLeftOfAnExpiredSegmentGoesAfterARestart) {
  begin();
  for (uint64_t i = 0; i < 100; ++i) insert(i, kNow + 10);
  commit();
  finish_pass(1000);
  now_ = kNow + 10;
  begin();
  for (uint64_t i = 1000; i < 1100; ++i) insert(i);
  commit();
  begin(30);
  commit();
  load();
  finish_pass(30);
  EXPECT_EQ(*database_.integer("SELECT count(*) FROM dedupe WHERE expires_at < " + std::to_string(kLater)), 0);
  for (uint64_t i = 1000; i < 1100; ++i) EXPECT_NE(find(i), "");
}

// A pass that a restart cut short is done again under the same number: what it had left must not take the whole segment with it when
// it expires, neither later nor while the segment is being written.
TEST_F(DedupeIndexTest, APassThatWasCutShortLeavesNothingThatExpiresForAll) {
  for (int64_t restart_at : {kNow, kNow + 1'000}) {
    SetUp();
    now_ = kNow;
    seq_ += 100;
    uint64_t base = static_cast<uint64_t>(restart_at - kNow) * 1000;
    begin();
    // In the order of their keys the first ones expire early.
    std::vector<uint64_t> numbers;
    for (uint64_t i = 0; i < kMergeAt; ++i) numbers.push_back(base + i);
    std::sort(numbers.begin(), numbers.end(), [](uint64_t a, uint64_t b) { return key_of(a) < key_of(b); });
    std::vector<std::string> ids;
    for (size_t i = 0; i < kMergeAt; ++i) ids.push_back(insert(numbers[i], i < 2 ? kNow + 500 : kLater));
    commit();
    begin(2);
    commit();
    now_ = restart_at;
    load();
    finish_pass(2);
    now_ = kNow + 2'000;
    begin();
    for (uint64_t i = 0; i < kMergeAt; ++i) insert(base + 500 + i);
    commit();
    finish_pass(2);
    for (size_t i = 2; i < kMergeAt; ++i) EXPECT_EQ(find(numbers[i]), ids[i]) << i;
  }
}

// Each restart in the middle of a pass leaves a part of a segment, and the next pass has another number.
TEST_F(DedupeIndexTest, PassesThatWereCutShortLeaveNothing) {
  std::vector<std::string> ids;
  begin();
  for (uint64_t i = 0; i < 5 * kMergeAt; ++i) ids.push_back(insert(i));
  commit();
  for (int restart = 0; restart < 20; ++restart) {
    begin(kMergeAt);
    ids.push_back(insert(ids.size()));
    commit();
    load();
    EXPECT_LE(count("dedupe"), static_cast<int64_t>(ids.size())) << "restart " << restart;
  }
  finish_pass(3);
  EXPECT_EQ(count("dedupe"), static_cast<int64_t>(ids.size()));
  for (uint64_t i = 0; i < ids.size(); ++i) EXPECT_EQ(find(i), ids[i]) << i;
  load();
  for (uint64_t i = 0; i < ids.size(); ++i) EXPECT_EQ(find(i), ids[i]) << i;
  EXPECT_EQ(index_->in_memory(), 0u);
}

// Ten thousand keys in segments of different sizes, with a restart in between.
TEST_F(DedupeIndexTest, FindsEachKeyInItsSegment) {
  std::vector<std::string> ids;
  for (int round = 0; round < 100; ++round) {
    begin(50);
    for (int i = 0; i < 100; ++i) ids.push_back(insert(ids.size()));
    commit();
    if (round == 50) load();
  }
  finish_pass(1000);
  EXPECT_GT(*database_.integer("SELECT count(DISTINCT segment) FROM dedupe"), 3);
  for (uint64_t i = 0; i < ids.size(); ++i) EXPECT_EQ(find(i), ids[i]);
  EXPECT_EQ(find(ids.size()), "");
  load();
  for (uint64_t i = 0; i < ids.size(); ++i) EXPECT_EQ(find(i), ids[i]);
}

TEST_F(DedupeIndexTest, AKeyTakenAgainWhileItsOldSelfIsMergedKeepsTheNewOne) {
  begin();
  for (uint64_t i = 0; i < kMergeAt; ++i) insert(i, kNow + 10);
  commit();
  begin(3);  // freezes, and merges the first ones
  commit();
  now_ = kNow + 20;
  begin();
  std::vector<std::string> again;
  for (uint64_t i = 0; i < kMergeAt; ++i) again.push_back(insert(i, kLater));
  commit();
  finish_pass(100);
  for (uint64_t i = 0; i < kMergeAt; ++i) EXPECT_EQ(find(i), again[i]);
  load();
  for (uint64_t i = 0; i < kMergeAt; ++i) EXPECT_EQ(find(i), again[i]);
  finish_pass(100);
  load();
  for (uint64_t i = 0; i < kMergeAt; ++i) EXPECT_EQ(find(i), again[i]);
}

TEST_F(DedupeIndexTest, RefusesAMalformedKey) {
  begin();
  insert(1);
  commit();
  run("UPDATE event SET dedupe_key = x'00'");
  DedupeIndex index(kMergeAt);
  EXPECT_EQ(index.load(database_, 1).code(), Code::kCorrupt);
}

}  // namespace
}  // namespace postern::store::sqlite
