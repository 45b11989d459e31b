#include "core/store/sqlite/gathering_vfs.h"

#include "core/store/sqlite/database.h"
#include "tests/unit/store/faulty_vfs.h"
#include "tests/unit/store/store_support.h"

namespace postern::store::sqlite {
namespace {

using testing::FaultyVfs;

class GatheringVfsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = Database::open(folder_.file("x.db"), false, vfs_.name());
    ASSERT_TRUE(opened.is_ok()) << opened.status().message();
    database_ = std::move(*opened);
    for (const char* sql : {"PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA wal_autocheckpoint=0",
                            "CREATE TABLE t (n INTEGER PRIMARY KEY, x BLOB)"}) {
      run(sql);
    }
  }
  void TearDown() override { FaultyVfs::log_write = FaultyVfs::log_sync = FaultyVfs::database_write = SQLITE_OK; }
  void run(const char* sql) {
    Status s = database_.execute(sql);
    ASSERT_TRUE(s.is_ok()) << s.message();
  }
  std::string seen_by_others(const char* sql) { return testing::Sql(folder_.file("x.db")).one(sql); }

  testing::TempFolder folder_;
  FaultyVfs faulty_;  // below, so that it sees what arrives at the disk
  GatheringVfs vfs_;
  Database database_;
};

constexpr const char* kPages = "INSERT INTO t (x) SELECT zeroblob(3000) FROM (WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT "
                               "i + 1 FROM c WHERE i < 100) SELECT i FROM c)";

TEST_F(GatheringVfsTest, ACommitIsAFewWrites) {
  uint64_t before = FaultyVfs::log_writes;
  run(kPages);
  EXPECT_LE(FaultyVfs::log_writes - before, 10u);
  EXPECT_FALSE(FaultyVfs::log_is_dirty);
  EXPECT_EQ(seen_by_others("SELECT count(*) FROM t"), "100");
}

// Of a part of the log SQLite notes right after the last page that it is copied, and asks nothing of the file before.
TEST_F(GatheringVfsTest, ACheckpointHoldsNothingBack) {
  run(kPages);
  testing::Sql reader(folder_.file("x.db"));
  reader.run("BEGIN");
  ASSERT_EQ(reader.one("SELECT count(*) FROM t"), "100");
  run(kPages);
  FaultyVfs::database_writes_that_fit = INT64_MAX;
  auto copy = [&] { return sqlite3_wal_checkpoint_v2(database_.handle(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr); };
  FaultyVfs::database_writes_that_fit = 40;
  EXPECT_EQ(copy(), SQLITE_FULL);
  for (int64_t fits = 0; fits < 40; ++fits) {
    FaultyVfs::database_writes_that_fit = fits;
    copy();
    ASSERT_EQ(seen_by_others("SELECT count(*) FROM t"), "200") << fits;
    ASSERT_EQ(seen_by_others("PRAGMA integrity_check"), "ok") << fits;
  }
}

TEST_F(GatheringVfsTest, WhatIsSyncedNeedNotBeSyncedAgain) {
  run(kPages);
  uint64_t before = FaultyVfs::log_syncs;
  vfs_.skip_needless_syncs(true);
  run("PRAGMA wal_checkpoint(PASSIVE)");
  EXPECT_EQ(FaultyVfs::log_syncs, before) << "the commit has done it";
  EXPECT_GT(FaultyVfs::database_syncs, 0u);
  run("INSERT INTO t (x) VALUES ('more')");
  EXPECT_GT(FaultyVfs::log_syncs, before);
}

TEST_F(GatheringVfsTest, TheSyncOfACommitCanBePutOff) {
  run(kPages);
  uint64_t before = FaultyVfs::log_syncs;
  EXPECT_FALSE(vfs_.take_log_sync()) << "none was put off";
  vfs_.put_off_log_sync(true);
  run(kPages);
  run(kPages);
  EXPECT_EQ(FaultyVfs::log_syncs, before);
  EXPECT_EQ(seen_by_others("SELECT count(*) FROM t"), "300") << "it is written";
  auto sync = vfs_.take_log_sync();
  ASSERT_TRUE(sync);
  EXPECT_FALSE(vfs_.take_log_sync()) << "one is enough";
  FaultyVfs::log_sync = SQLITE_IOERR_FSYNC;
  EXPECT_EQ(sync(), SQLITE_IOERR_FSYNC);
  FaultyVfs::log_sync = SQLITE_OK;
  EXPECT_EQ(sync(), SQLITE_OK);
  EXPECT_EQ(FaultyVfs::log_syncs, before + 1);
}

// Frames behind a header that is not on the disk yet could be taken for those of the log before.
TEST_F(GatheringVfsTest, TheSyncOfANewHeaderIsNotPutOff) {
  run(kPages);
  run("PRAGMA wal_checkpoint(RESTART)");
  uint64_t before = FaultyVfs::log_syncs;
  int waited = 0;
  vfs_.before_sync([&waited] { ++waited; });
  vfs_.put_off_log_sync(true);
  run("INSERT INTO t (x) VALUES ('the log starts over')");
  EXPECT_EQ(FaultyVfs::log_syncs, before + 1);
  EXPECT_EQ(waited, 1) << "for a sync that is under way";
  EXPECT_TRUE(vfs_.take_log_sync()) << "that of the commit";
  vfs_.put_off_log_sync(false);
  run("PRAGMA wal_checkpoint(PASSIVE)");
  EXPECT_EQ(FaultyVfs::log_syncs, before + 2) << "before its frames are copied";
  EXPECT_EQ(waited, 2);
  vfs_.before_sync(nullptr);
}

TEST_F(GatheringVfsTest, UnlessSomebodySaysSoEachSyncIsDone) {
  run(kPages);
  uint64_t before = FaultyVfs::log_syncs;
  run("PRAGMA wal_checkpoint(PASSIVE)");
  EXPECT_GT(FaultyVfs::log_syncs, before) << "somebody else may have written";
}

TEST_F(GatheringVfsTest, AFailedSyncIsDoneAgain) {
  vfs_.skip_needless_syncs(true);
  FaultyVfs::log_sync = SQLITE_IOERR_FSYNC;
  EXPECT_FALSE(database_.execute("INSERT INTO t (x) VALUES ('x')").is_ok());
  uint64_t before = FaultyVfs::log_syncs;
  FaultyVfs::log_sync = SQLITE_OK;
  run("PRAGMA wal_checkpoint(PASSIVE)");
  EXPECT_GT(FaultyVfs::log_syncs, before);
}

// Without the sync of the commit only the barrier of the shared index stands between a reader and a frame that is not there.
TEST_F(GatheringVfsTest, WithoutSyncsOthersSeeACommitWhole) {
  run("PRAGMA synchronous=OFF");
  for (int i = 1; i <= 20; ++i) {
    run("INSERT INTO t (x) VALUES (zeroblob(9000))");
    ASSERT_EQ(seen_by_others("SELECT count(*) || ' ' || sum(length(x)) FROM t"),
              std::to_string(i) + " " + std::to_string(9000 * i));
  }
}

// Frames that a transaction wrote before it was rolled back must not come out later, over those of another writer.
TEST_F(GatheringVfsTest, NothingIsHeldBackAfterARollback) {
  run("PRAGMA cache_size=10");
  run("BEGIN");
  run(kPages);
  run("ROLLBACK");
  testing::Sql other(folder_.file("x.db"), false);
  other.run("INSERT INTO t (x) VALUES ('theirs')");
  run("INSERT INTO t (x) VALUES ('ours')");
  EXPECT_EQ(seen_by_others("SELECT group_concat(x) FROM t"), "theirs,ours");
  EXPECT_EQ(seen_by_others("PRAGMA integrity_check"), "ok");
}

TEST_F(GatheringVfsTest, ATransactionLargerThanTheCacheReadsItsOwn) {
  run("PRAGMA cache_size=10");
  run("BEGIN");
  for (int i = 0; i < 5; ++i) run(kPages);
  run("UPDATE t SET x = zeroblob(10) WHERE n % 2 = 0");
  EXPECT_EQ(*database_.integer("SELECT sum(length(x)) FROM t"), 250 * 3010);
  run("COMMIT");
  EXPECT_EQ(seen_by_others("SELECT sum(length(x)) FROM t"), std::to_string(250 * 3010));
  run("PRAGMA wal_checkpoint(TRUNCATE)");
  EXPECT_EQ(seen_by_others("PRAGMA integrity_check"), "ok");
}

TEST_F(GatheringVfsTest, AFailedWriteFailsTheCommit) {
  for (int code : {SQLITE_FULL, SQLITE_IOERR_WRITE}) {
    FaultyVfs::log_write = code;
    EXPECT_FALSE(database_.execute("INSERT INTO t (x) VALUES (zeroblob(100))").is_ok());
    EXPECT_EQ(database_.extended_code(), code);
    FaultyVfs::log_write = SQLITE_OK;
    EXPECT_EQ(seen_by_others("SELECT count(*) FROM t"), "0");
  }
  run("INSERT INTO t (x) VALUES (1)");
  EXPECT_EQ(seen_by_others("SELECT count(*) FROM t"), "1");
}

TEST_F(GatheringVfsTest, AFailedWriteOfACheckpointFailsIt) {
  run(kPages);
  FaultyVfs::database_write = SQLITE_IOERR_WRITE;
  auto checkpoint = [&] {
    return sqlite3_wal_checkpoint_v2(database_.handle(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  };
  EXPECT_EQ(checkpoint(), SQLITE_IOERR_WRITE);
  FaultyVfs::database_write = SQLITE_OK;
  EXPECT_EQ(checkpoint(), SQLITE_OK);
  EXPECT_EQ(seen_by_others("PRAGMA integrity_check"), "ok");
}

}  // namespace
}  // namespace postern::store::sqlite
