// How the writer begins: the lock, the tables, the statements, the numbers that were given.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "core/base/broken.h"
#include "core/store/sqlite/schema.h"
#include "core/store/sqlite/writer.h"

namespace postern::store::sqlite {
namespace {

// The name of a new file is durable only when its folder is.
Status sync_folder(const std::string& folder) {
  int fd = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return {Code::kIo, folder + ": " + std::strerror(errno)};
  int failed = ::fsync(fd);
  ::close(fd);
  return failed != 0 ? Status(Code::kIo, folder + ": " + std::strerror(errno)) : Status::ok();
}

Result<int> lock_store(const std::string& path) {
  std::string file = path + ".lock";
  int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return Status(Code::kIo, file + ": " + std::strerror(errno));
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    ::close(fd);
    return Status(Code::kUnavailable, "another gateway uses the store " + path + "; stop it, or give another store.path");
  }
  return fd;
}

}  // namespace

Writer::Descriptor::~Descriptor() {
  if (fd >= 0) ::close(fd);
}

Status Writer::open(const std::string& path) {
  std::string folder = std::filesystem::path(path).parent_path().string();
  if (folder.empty()) folder = ".";
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return {Code::kIo, "store: cannot make the folder " + folder + ": " + error.message()};
  auto lock = lock_store(std::filesystem::weakly_canonical(path, error).string());
  if (!lock) return lock.status();
  lock_.fd = *lock;

  ::umask(::umask(0077) | 0077);  // events are private: the store's files are for this user alone
  auto database = Database::open(path, false, vfs_.name());
  if (!database) return database.status();
  database_ = std::move(*database);
  database_.checkpoint_on_close(false);  // until it is known to be ours
  if (Status s = prepare_schema(database_); !s) return s.with_context(path);
  database_.checkpoint_on_close(true);
  for (const char* pragma : {"PRAGMA journal_mode=WAL", broken::kSyncOff ? "PRAGMA synchronous=OFF" : "PRAGMA synchronous=FULL",
                             "PRAGMA cache_size=-16000", "PRAGMA temp_store=MEMORY", "PRAGMA journal_size_limit=67108864"}) {
    if (Status s = database_.execute(pragma); !s) return s;
  }
  // Replaces SQLite's own checkpoints, which would swallow their errors.
  sqlite3_wal_hook(
      database_.handle(),
      [](void* self, sqlite3*, const char*, int pages) {
        static_cast<Writer*>(self)->wal_pages_ = pages;
        return SQLITE_OK;
      },
      this);
  if (Status s = prepare_statements(); !s) return s;
  if (Status s = read_marks(); !s) return s;
  if (Status s = dedupe_.load(database_, given_.event); !s) return s;
  if (Status s = records_.load(database_); !s) return s;
  if (Status s = timers_.load(database_); !s) return s;
  file_.fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file_.fd < 0) return {Code::kIo, path + ": " + std::strerror(errno)};
  if (Status s = checkpointer_.open(path, database_, vfs_, file_.fd); !s) return s;
  records_.learn_names(path);
  vfs_.before_sync([this] { syncer_.wait(); });
  syncer_.start();
  return sync_folder(folder);
}

Status Writer::prepare_statements() {
  struct Wanted {
    Statement* statement;
    const char* sql;
  };
  const Wanted wanted[] = {
      {&begin_, "BEGIN IMMEDIATE"},
      {&commit_, "COMMIT"},
      {&rollback_, "ROLLBACK"},
      {&settle_,
       "UPDATE delivery SET state=?2, attempts=?3, last_error=?4, settled_at=?5, duration_us=?6 "
       "WHERE seq=?1 AND state IN ('queued','running')"},
      {&retry_,
       "UPDATE delivery SET attempts=?2, last_error=?3, due_at=?4, duration_us=?5 WHERE seq=?1 AND state IN ('queued','running')"},
      {&insert_attempt_,
       "INSERT OR REPLACE INTO attempt (delivery, n, started_at, duration_us, outcome, detail) "
       "SELECT seq, earlier_attempts + ?2, ?3, ?4, ?5, ?6 FROM delivery WHERE seq = ?1"},
      {&set_seq_, "UPDATE meta SET value = CASE name WHEN 'event_seq' THEN ?1 ELSE ?2 END WHERE name IN ('event_seq', 'delivery_seq')"},
      {&set_open_seq_, "UPDATE meta SET value = ?1 WHERE name = 'delivery_open_seq'"},
      {&set_removed_version_, "INSERT OR REPLACE INTO meta VALUES ('record_removed_version', ?1)"},
      {&first_open_,
       "SELECT ifnull(min(CASE WHEN state IN ('queued','running') AND replayed_at IS NULL THEN seq END), max(seq) + 1) FROM "
       "(SELECT seq, state, replayed_at FROM delivery WHERE seq >= ?1 ORDER BY seq LIMIT ?2)"},
  };
  for (const Wanted& w : wanted) {
    auto statement = database_.prepare(w.sql);
    if (!statement) return statement.status();
    *w.statement = std::move(*statement);
  }
  constexpr const char* kEvent =
      "event (seq, dedupe_key, dedupe_until, received_at, id, provider, type, external_id, order_key, depth, "
      "method, target, remote, headers, body, first_delivery, deliveries)";
  if (Status s = insert_events_.prepare(database_, kEvent, 17); !s) return s;
  return insert_deliveries_.prepare(database_, "delivery (seq, event, plugin, subscriber, state, attempts, due_at)", 7);
}

Status Writer::read_marks() {
  struct Wanted {
    const char* sql;
    int64_t value;
  };
  Wanted wanted[] = {
      {"SELECT max((SELECT value FROM meta WHERE name='event_seq'), (SELECT ifnull(max(seq), 0) FROM event))", 0},
      {"SELECT max((SELECT value FROM meta WHERE name='delivery_seq'), (SELECT ifnull(max(seq), 0) FROM delivery))", 0},
      {"SELECT value FROM meta WHERE name = 'delivery_open_seq'", 0},
      {"SELECT (SELECT count(*) FROM delivery WHERE state IN ('queued','running') AND replayed_at IS NULL AND seq >= "
       "(SELECT value FROM meta WHERE name = 'delivery_open_seq')) + "
       "(SELECT count(*) FROM delivery INDEXED BY delivery_replayed WHERE state IN ('queued','running') AND replayed_at IS NOT NULL)", 0},
      {"SELECT count(*) FROM delivery WHERE state = 'dead'", 0},
      {"SELECT ifnull((SELECT value FROM meta WHERE name = 'record_removed_version'), 0)", 0},
  };
  for (Wanted& w : wanted) {
    auto value = database_.integer(w.sql);
    if (!value) return value.status();
    w.value = *value;
  }
  given_.event = wanted[0].value;
  given_.delivery = wanted[1].value;
  kept_ = given_;
  open_seq_ = wanted[2].value;
  open_ = static_cast<uint64_t>(wanted[3].value);
  dead_ = static_cast<uint64_t>(wanted[4].value);
  removed_version_ = static_cast<uint64_t>(wanted[5].value);
  return Status::ok();
}

}  // namespace postern::store::sqlite
