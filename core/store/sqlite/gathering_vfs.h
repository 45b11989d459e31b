// GatheringVfs: SQLite's own file layer, with neighbouring writes of the log gathered into one system call; and, where it is told so,
// without syncs of a file that this connection has not written to since the last one.
//
// SQLite writes each frame of the log with two calls; a batch of events was 200 calls.
//
// Why it is safe: what is gathered is written before the log is read, synced, measured, truncated or closed, and before any lock
// or barrier of its database. So nothing is held back but inside one write transaction, under its lock; frames are in the file before
// the shared index covers them. Only the writing connection uses it: readers have descriptors of their own and see the file as that
// index tells them. The database itself is written at once: a checkpoint that copies a part of the log asks nothing of the file
// between its last page and the note that it is copied, so an error would come too late.
// An error comes out of the call that had to write (at the latest the sync); what was gathered is dropped then, as after any
// failed write. A call that cannot fail, or whose error SQLite ignores, leaves it to the next one.
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

  // Whether a sync is left out where this connection has written nothing since the last one. Whoever asks for that knows that nobody else
  // has, or that it does not matter.
  void skip_needless_syncs(bool on) { vfs_.skips_syncs = on; }

 private:
  struct Vfs : sqlite3_vfs {
    sqlite3_vfs* real;
    bool skips_syncs;
  };
  static int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags);

  std::string name_;
  Vfs vfs_{};
};

}  // namespace postern::store::sqlite
