// GatheringVfs: SQLite's own file layer, with neighbouring writes of the log gathered into one system call; and, where it is told so,
// with the sync that ends a commit put off, and without syncs of a file that this connection has not written to since the last one.
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
//
// A commit whose sync is put off is none yet: what it wrote may be on the disk after a power cut, whole or in part, as if it had been under
// way. Never put off: the sync of a new header of the log, which frames must not overtake (SQLite's ticket ff5be73dee).
// Thread-safety: make and destroy it while no database is open on it; a file belongs to its connection's thread, but for put-off syncs.
#pragma once

#include <sqlite3.h>

#include <functional>
#include <memory>
#include <string>

namespace postern::store::sqlite {

struct LogSync;

class GatheringVfs {
 public:
  GatheringVfs();  // over the default file layer of this moment
  ~GatheringVfs();
  GatheringVfs(const GatheringVfs&) = delete;
  GatheringVfs& operator=(const GatheringVfs&) = delete;

  const char* name() const { return name_.c_str(); }

  // Whether a sync is left out where this connection has written nothing since the last one, be that put off or not. Whoever asks for that
  // knows that nobody else has, and that what was put off is done, or that it does not matter.
  void skip_needless_syncs(bool on) { vfs_.skips_syncs = on; }

  // Whether the sync that ends a commit is put off.
  void put_off_log_sync(bool on);
  // The sync that was put off, to be called once: SQLITE_OK or an error code. On any thread, beside whatever the connection does but
  // another sync of the log and its closing. Empty: none was.
  using Sync = std::function<int()>;
  Sync take_log_sync();
  // Called before each sync of the log that is not put off. An error of the disk is told only to one of two syncs that run at once.
  void before_sync(std::function<void()> wait);

 private:
  struct Vfs : sqlite3_vfs {
    sqlite3_vfs* real;
    LogSync* log;
    bool skips_syncs;
  };
  static int open(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* out_flags);

  std::string name_;
  const std::unique_ptr<LogSync> log_;
  Vfs vfs_{};
};

}  // namespace postern::store::sqlite
