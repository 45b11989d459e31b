// The log moves into the database a little at a time, and is whole until what was moved is synced.
#include "core/store/sqlite/checkpointer.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <utility>

#include "core/store/sqlite/gathering_vfs.h"
#include "tests/unit/store/faulty_vfs.h"
#include "tests/unit/store/store_support.h"

namespace postern::store::sqlite {
namespace {

using testing::FaultyVfs;

class CheckpointerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = Database::open(path(), false, vfs_.name());
    ASSERT_TRUE(opened.is_ok()) << opened.status().message();
    database_ = std::move(*opened);
    for (const char* sql : {"PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "PRAGMA wal_autocheckpoint=0",
                            "CREATE TABLE meta (value INTEGER)", "INSERT INTO meta VALUES (0)",
                            "CREATE TABLE t (n INTEGER PRIMARY KEY, x BLOB)"}) {
      ASSERT_TRUE(database_.execute(sql).is_ok()) << sql;
    }
    sqlite3_wal_hook(
        database_.handle(),
        [](void* pages, sqlite3*, const char*, int now) {
          *static_cast<int*>(pages) = now;
          return SQLITE_OK;
        },
        &log_pages_);
    file_ = ::open(path().c_str(), O_RDONLY | O_CLOEXEC);
    Status s = checkpointer_.open(path(), database_, vfs_, file_);
    ASSERT_TRUE(s.is_ok()) << s.message();
  }
  void TearDown() override {
    FaultyVfs::database_sync = FaultyVfs::database_write = SQLITE_OK;
    FaultyVfs::database_writes_that_fit = INT64_MAX;
    ::close(file_);
  }
  std::string path() const { return folder_.file("x.db"); }

  // A commit of some 50 pages.
  Status commit() {
    Status s = database_.execute("INSERT INTO t (x) SELECT zeroblob(3000) FROM (WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT "
                                 "i + 1 FROM c WHERE i < 50) SELECT i FROM c)");
    EXPECT_TRUE(s.is_ok()) << s.message();
    ++commits_;
    return checkpointer_.after_commit(log_pages_);
  }
  std::string rows() const { return std::to_string(50 * commits_); }

  testing::TempFolder folder_;
  FaultyVfs faulty_;  // below, so that it sees what arrives at the disk
  GatheringVfs vfs_;
  Database database_;
  Checkpointer checkpointer_;
  int file_ = -1;
  int log_pages_ = 0;
  int commits_ = 0;
};

TEST_F(CheckpointerTest, CopiesALittleAndSyncsAtTheEnd) {
  uint64_t syncs = FaultyVfs::database_syncs, copies = 0;
  int longest = 0;
  for (uint64_t seen = FaultyVfs::database_writes; FaultyVfs::database_syncs == syncs; seen = FaultyVfs::database_writes) {
    ASSERT_LT(longest, 2 * Checkpointer::kWholePages) << "the log has grown without a sync";
    ASSERT_TRUE(commit().is_ok());
    copies += FaultyVfs::database_writes > seen && FaultyVfs::database_syncs == syncs;
    longest = std::max(longest, log_pages_);
  }
  EXPECT_GE(copies, 4u) << "along with the commits";
  EXPECT_GE(longest, Checkpointer::kWholePages);
  ASSERT_TRUE(commit().is_ok());
  EXPECT_LT(log_pages_, Checkpointer::kWholePages / 2) << "it has started over";
  EXPECT_EQ(FaultyVfs::database_syncs, syncs + 1);
}

// After a power loss the file may be as it was at its last sync. What is missing then must be in the log.
TEST_F(CheckpointerTest, NothingIsOnlyInWhatWasNotSynced) {
  std::string synced = folder_.file("synced.db"), lost = folder_.file("lost.db");
  std::filesystem::copy_file(path(), synced);
  constexpr auto kOver = std::filesystem::copy_options::overwrite_existing;
  bool starts_over = false;
  for (uint64_t seen = FaultyVfs::database_syncs; commits_ < 100; seen = FaultyVfs::database_syncs) {
    int before = log_pages_;
    ASSERT_TRUE(commit().is_ok());
    if (FaultyVfs::database_syncs != seen) std::filesystem::copy_file(path(), synced, kOver);
    starts_over |= log_pages_ < before;
    std::filesystem::copy_file(synced, lost, kOver);
    std::filesystem::copy_file(path() + "-wal", lost + "-wal", kOver);
    testing::Sql after(lost, false);
    ASSERT_EQ(after.one("SELECT count(*) FROM t"), rows()) << "after commit " << commits_;
    ASSERT_EQ(after.one("PRAGMA integrity_check"), "ok") << "after commit " << commits_;
  }
  EXPECT_TRUE(starts_over);
}

TEST_F(CheckpointerTest, AReaderInTheWayIsWaitedForByNobody) {
  ASSERT_TRUE(commit().is_ok());
  testing::Sql reader(path());
  reader.run("BEGIN");
  ASSERT_EQ(reader.one("SELECT count(*) FROM t"), rows());
  while (log_pages_ < 2 * Checkpointer::kWholePages) ASSERT_TRUE(commit().is_ok());
  reader.run("COMMIT");
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(commit().is_ok());
  EXPECT_LT(log_pages_, Checkpointer::kWholePages) << "then it starts over";
  EXPECT_EQ(testing::Sql(path()).one("SELECT count(*) FROM t"), rows());
}

TEST_F(CheckpointerTest, AFaultOfTheDiskIsTold) {
  for (std::atomic<int>* fault : {&FaultyVfs::database_write, &FaultyVfs::database_sync}) {
    *fault = fault == &FaultyVfs::database_write ? SQLITE_IOERR_WRITE : SQLITE_IOERR_FSYNC;
    Status s = Status::ok();
    for (int i = 0; s && i < 100; ++i) s = commit();
    EXPECT_EQ(s.code(), Code::kIo);
    *fault = SQLITE_OK;
    ASSERT_TRUE(commit().is_ok());
  }
}

TEST_F(CheckpointerTest, AFullDiskIsTriedAgain) {
  FaultyVfs::database_write = SQLITE_FULL;
  while (log_pages_ < 2 * Checkpointer::kWholePages) ASSERT_TRUE(commit().is_ok());
  FaultyVfs::database_write = SQLITE_OK;
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(commit().is_ok());
  EXPECT_LT(log_pages_, Checkpointer::kWholePages);
  EXPECT_EQ(testing::Sql(path()).one("PRAGMA integrity_check"), "ok");
}

// At whatever page of whichever copy: a page that is not in the file must not count as copied.
TEST_F(CheckpointerTest, ADiskThatIsFullForOneWrite) {
  for (int64_t fits = 0; fits < 1500; fits += 7) {
    FaultyVfs::database_writes_that_fit = fits % 150;
    for (int i = 0; i < 2 + static_cast<int>(fits % 5); ++i) ASSERT_TRUE(commit().is_ok());
    ASSERT_EQ(testing::Sql(path()).one("SELECT count(*) FROM t"), rows()) << fits;
    if (fits % 35 != 0) continue;
    ASSERT_EQ(testing::Sql(path()).one("PRAGMA integrity_check"), "ok") << fits;
  }
}

}  // namespace
}  // namespace postern::store::sqlite
