// Checkpointer: moves the log into the database file, a little after every few batches, so that no sender waits for a large fsync.
//
// SQLite copies the log's pages and fsyncs the database in one go, while everybody waits (measured: 17 % of the time under load). But it
// copies only commits that no reader stands behind, and fsyncs only when all of the log is copied. So a reader of ours stands a few
// batches behind: what is before it is copied without an fsync, the kernel is asked to begin writing it, and when the reader steps aside
// in the end, that fsync has little left to wait for. Nothing depends on the early writing: the log stays whole, and starts over only
// after the fsync, as SQLite has it. The reader also stands while nothing happens: until the next commits somebody else's
// checkpoint cannot make the log start over.
// Thread-safety: the committer's thread.
#pragma once

#include <string>

#include "core/base/status.h"
#include "core/store/sqlite/database.h"
#include "core/store/sqlite/gathering_vfs.h"

namespace postern::store::sqlite {

class Checkpointer {
 public:
  // `writer` is the database of `path` in WAL mode by way of `vfs`, `file` a descriptor of it; all outlive the checkpointer.
  Status open(const std::string& path, Database& writer, GatheringVfs& vfs, int file);

  // A commit has just made the log so many pages long. Fails only where the disk does; that counts as a failed commit.
  Status after_commit(int log_pages);

  static constexpr int kCopyPages = 128;    // at a time, about two batches of a busy hour
  static constexpr int kWholePages = 1000;  // 8 MB of log: then all of it is copied, and it starts over unless somebody still reads it

 private:
  Status copy();
  Status step_forward();
  void step_aside();

  Database* writer_ = nullptr;
  GatheringVfs* vfs_ = nullptr;
  int file_ = -1;
  Database reader_;
  Statement begin_, look_, end_;
  bool stands_ = false;  // the reader, in the log
  int seen_pages_ = 0;   // of the log, when it was last copied
};

}  // namespace postern::store::sqlite
