// GatheringVfs: SQLite's own file layer, with neighbouring writes of the log and the database gathered into one system call, and without
// syncs of a file that nobody has written to since the last one.
//
// SQLite writes each frame of the log with two calls, and a checkpoint writes page by page; a batch of events was 200 calls.
//
// Why it is safe: what is gathered is written before the file is read, synced, measured, truncated or closed, and before any lock
// or barrier of its database. So nothing is held back but inside one write transaction or one checkpoint, under their locks;
// frames are in the file before the shared index covers them, and pages before the index says that they are checkpointed. Only
// the writing connection uses it: readers have descriptors of their own and see the file as that index tells them.
// An error comes out of the call that had to write (at the latest the sync); what was gathered is dropped then, as after any
// failed write. A call that cannot fail leaves its error to the next one that can.
// For connections with synchronous=FULL: without the sync of a commit its errors could come too late.
// Thread-safety: make and destroy it while no database is open on it; a file belongs to its connection's thread.
#pragma once

#include <sqlite3.h>

#include <string>

namespace postern::store::sqlite {

class GatheringVfs {
 public:
  GatheringVfs();  // over the default file layer of this moment
  ~GatheringVfs();
  GatheringVfs(const GatheringVfs&) = delete;
  GatheringVfs& operator=(const GatheringVfs&) = delete;

  const char* name() const { return name_.c_str(); }

 private:
  struct Vfs : sqlite3_vfs {
    sqlite3_vfs* real;
  };
  static int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags);

  std::string name_;
  Vfs vfs_{};
};

}  // namespace postern::store::sqlite
