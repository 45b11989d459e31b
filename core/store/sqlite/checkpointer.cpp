#include "core/store/sqlite/checkpointer.h"

#include <fcntl.h>

#include <utility>

namespace postern::store::sqlite {

Status Checkpointer::open(const std::string& path, Database& writer, GatheringVfs& vfs, int file) {
  writer_ = &writer;
  vfs_ = &vfs;
  file_ = file;
  auto reader = Database::open(path, true);
  if (!reader) return reader.status();
  reader_ = std::move(*reader);
  sqlite3_busy_timeout(reader_.handle(), 0);  // senders wait for the committer: it must not wait to read
  struct Wanted {
    Statement* statement;
    const char* sql;
  };
  const Wanted wanted[] = {{&begin_, "BEGIN"}, {&look_, "SELECT value FROM meta LIMIT 1"}, {&end_, "COMMIT"}};
  for (const Wanted& w : wanted) {
    auto statement = reader_.prepare(w.sql);
    if (!statement) return statement.status();
    *w.statement = std::move(*statement);
  }
  return Status::ok();
}

Status Checkpointer::after_commit(int log_pages) {
  if (log_pages < seen_pages_) seen_pages_ = 0;  // it has started over
  if (log_pages >= kWholePages) {
    step_aside();
    seen_pages_ = 0;
    return copy();
  }
  if (log_pages - seen_pages_ < kCopyPages) return Status::ok();
  seen_pages_ = log_pages;
  if (stands_) {
    // SQLite syncs the log before each copy. Our commits since the reader's step have done that for all that is copied.
    vfs_->skip_needless_syncs(true);
    Status copied = copy();
    vfs_->skip_needless_syncs(false);
    if (!copied) return copied;
    ::sync_file_range(file_, 0, 0, SYNC_FILE_RANGE_WRITE);  // where it cannot, the fsync does it all
  }
  return step_forward();
}

// Waits for no reader.
Status Checkpointer::copy() {
  int code = sqlite3_wal_checkpoint_v2(writer_->handle(), nullptr, SQLITE_CHECKPOINT_PASSIVE, nullptr, nullptr);
  return is_fatal(code) ? writer_->fault("checkpoint") : Status::ok();
}

// To the newest commit. Not to be able to is no fault: then the next copy has its fsync.
Status Checkpointer::step_forward() {
  step_aside();
  if (begin_.run() != SQLITE_DONE) return Status::ok();
  int code = look_.step();
  look_.reset();
  stands_ = true;
  if (code != SQLITE_ROW) step_aside();
  return is_fatal(code) ? reader_.fault("look at the log") : Status::ok();
}

void Checkpointer::step_aside() {
  if (stands_) end_.run();
  stands_ = false;
}

}  // namespace postern::store::sqlite
