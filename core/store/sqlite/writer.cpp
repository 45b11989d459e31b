#include "core/store/sqlite/writer.h"

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
#include "core/base/clock.h"
#include "core/base/ids.h"
#include "core/store/sqlite/schema.h"

namespace postern::store::sqlite {
namespace {

constexpr size_t kMergePerEvent = 2;      // keys moved to the table for each new one, so that a pass always catches up
constexpr size_t kMergeAtLeast = 256;
constexpr uint64_t kMoveMarkAfter = 1024;  // settled deliveries
constexpr size_t kMoveMarkBy = 4096;       // deliveries looked at
constexpr size_t kBusyBatch = 32;          // events; from here on records are not written to their table directly

std::string_view bytes(const ingest::DedupeKey& key) { return {reinterpret_cast<const char*>(key.data()), key.size()}; }

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
  if (Status s = dedupe_.load(database_, event_seq_); !s) return s;
  if (Status s = records_.load(database_); !s) return s;
  if (Status s = timers_.load(database_); !s) return s;
  file_.fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file_.fd < 0) return {Code::kIo, path + ": " + std::strerror(errno)};
  if (Status s = checkpointer_.open(path, database_, vfs_, file_.fd); !s) return s;
  records_.learn_names(path);
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
      {&insert_event_,
       "INSERT INTO event (seq, dedupe_key, dedupe_until, received_at, id, provider, type, external_id, order_key, depth, "
       "method, target, remote, headers, body, first_delivery, deliveries) "
       "VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17)"},
      {&insert_delivery_,
       "INSERT INTO delivery (seq, event, plugin, subscriber, state, attempts, due_at) VALUES (?1,?2,?3,?4,'queued',0,?5)"},
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
  return Status::ok();
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
  event_seq_ = wanted[0].value;
  delivery_seq_ = wanted[1].value;
  open_seq_ = wanted[2].value;
  open_ = static_cast<uint64_t>(wanted[3].value);
  dead_ = static_cast<uint64_t>(wanted[4].value);
  removed_version_ = static_cast<uint64_t>(wanted[5].value);
  return Status::ok();
}

Status Writer::run(Statement& statement, const char* doing) {
  return statement.run() == SQLITE_DONE ? Status::ok() : database_.fault(doing);
}

Status Writer::begin(bool with_events) {
  batch_events_ = 0;
  with_events_ = with_events;
  // SQLite would go on writing into the removed file, and everything would be gone with its last descriptor.
  int moved = 0;
  if (sqlite3_file_control(database_.handle(), "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved != 0) {
    return {Code::kIo, "the store's file was removed or replaced while it was open"};
  }
  if (Status s = run(begin_, "begin"); !s) return s;
  // Before the batch's own events, so that a generation that is frozen now is durable in `event` already.
  return dedupe_.merge(kMergeAtLeast, wall_ms());
}

Status Writer::write(ingest::PendingEvent& pending, Batch& batch) {
  ingest::NewEvent& event = pending.event;
  if (event.dedupe_until > 0) {
    auto first = dedupe_.find(event.dedupe_key, event.received_at);
    if (!first) return first.status();
    if (first->has_value()) {
      pending.outcome = ingest::Outcome::kDuplicate;
      pending.event_id = std::move(**first);
      ++batch.duplicates;
      return Status::ok();
    }
  }
  ingest::DedupeKey key = event.dedupe_key;
  int64_t until = event.dedupe_until;
  if (Status s = insert_event(event, pending.event_id, pending.seq, batch); !s) return s;
  if (until > 0) dedupe_.insert(key, pending.seq, pending.event_id, until);
  pending.outcome = ingest::Outcome::kStored;
  ++batch_events_;
  return Status::ok();
}

Status Writer::insert_event(ingest::NewEvent& e, std::string& event_id, int64_t& seq, Batch& batch) {
  seq = ++event_seq_;
  event_id = make_event_id(e.received_at, seq);
  seqs_changed_ = true;
  insert_event_.bind(1, seq).bind_blob(2, bytes(e.dedupe_key)).bind(3, e.dedupe_until).bind(4, e.received_at).bind(5, event_id);
  insert_event_.bind(6, e.provider).bind(7, e.type).bind(8, e.external_id).bind(9, e.order_key).bind(10, e.depth);
  insert_event_.bind(11, e.method).bind(12, e.target).bind(13, e.remote).bind_blob(14, e.headers).bind_blob(15, e.body);
  insert_event_.bind(16, delivery_seq_ + 1).bind(17, static_cast<int64_t>(e.targets ? e.targets->size() : 0));
  if (Status s = run(insert_event_, "store an event"); !s) return s;
  ++batch.stored;
  return e.targets && !e.targets->empty() ? insert_deliveries(e, seq, event_id, batch) : Status::ok();
}

// The event itself is moved to its deliveries, or stays whole: then it is freed by whoever made it, which is cheaper.
Status Writer::insert_deliveries(ingest::NewEvent& event, int64_t event_seq, const std::string& event_id, Batch& batch) {
  const std::vector<ingest::Target>& targets = *event.targets;  // a copy of the pointer would be one more for two threads to count
  std::shared_ptr<StoredEvent> kept;
  if (with_events_) {
    kept = std::make_shared<StoredEvent>();
    static_cast<ingest::NewEvent&>(*kept) = std::move(event);
    kept->seq = event_seq;
    kept->id = event_id;
  }
  int64_t due_at = kept ? kept->received_at : event.received_at;
  for (const ingest::Target& target : targets) {
    OpenDelivery made{++delivery_seq_, event_seq, target.plugin, target.subscriber, {}, {}, 0, due_at, kept, 0};
    insert_delivery_.bind(1, made.seq).bind(2, event_seq).bind(3, target.plugin).bind(4, target.subscriber).bind(5, due_at);
    if (Status s = run(insert_delivery_, "store a delivery"); !s) return s;
    if (!kept) {
      made.provider = event.provider;
      made.order_key = event.order_key;
    }
    batch.deliveries.push_back(std::move(made));
    ++batch.open_change;
  }
  return Status::ok();
}

// All that can refuse a settlement is looked at before the first row of it is written; what fails after that is the disk, which
// fails the whole batch. So a settlement needs no savepoint of its own.
Status Writer::write(Settlement& settlement, Batch& batch) {
  Status written = check_records(settlement);
  if (written) written = timers_.check(settlement.plugin, settlement.timers);
  if (written) written = write_outcome(settlement, batch);
  if (written.code() == Code::kConflict || written.code() == Code::kGone || written.code() == Code::kLimit) {
    settlement.status = written;
    return Status::ok();
  }
  if (!written) return written;
  if constexpr (broken::kLoseEffects) {
    if (commit_.run() != SQLITE_DONE || begin_.run() != SQLITE_DONE) return database_.fault("break");
  }
  if (Status s = write_records(settlement); !s) return s;
  if (Status s = timers_.write(settlement.plugin, settlement.timers); !s) return s;
  for (const ingest::NewEvent& emitted : settlement.emitted) {
    ingest::NewEvent event = emitted;  // should the batch fail, the settlement comes again
    std::string id;
    int64_t seq;
    if (Status s = insert_event(event, id, seq, batch); !s) return s;
  }
  return Status::ok();
}

Result<bool> Writer::fire(Firing& timer, Batch& batch) {
  auto removed = timers_.remove(timer.timer);
  if (!removed || !*removed) return removed;
  std::string id;
  int64_t seq;
  if (Status s = insert_event(timer.event, id, seq, batch); !s) return s;
  return true;
}

Status Writer::check_records(const Settlement& settlement) {
  checked_.clear();
  for (const RecordWrite& w : settlement.records) {
    Checked write{RecordBuffer::id_of(settlement.plugin, w.collection, w.key), 0, 0};
    // Written twice by one settlement: the second write finds what the first one makes.
    auto own = std::find_if(checked_.rbegin(), checked_.rend(), [&](const Checked& c) { return c.id == write.id; });
    if (own != checked_.rend()) {
      write.seen = own->seen;
      write.made = own->made;
    } else {
      auto stored = records_.version(write.id);
      if (!stored) return stored.status();
      write.seen = write.made = *stored;
    }
    if (w.expected_version != kAnyVersion && w.expected_version != write.seen) {
      return {Code::kConflict, "record " + w.collection + "/" + w.key + " was written by somebody else meanwhile"};
    }
    if (w.value.empty()) {
      note_removed(write.made);
      write.seen = write.made = 0;
    } else {
      ++write.seen;
      write.made = (write.made == 0 ? removed_version_ : write.made) + 1;
    }
    checked_.push_back(std::move(write));
  }
  return Status::ok();
}

// A record that is made anew must not get a version that a handler may have read of the removed one.
void Writer::note_removed(uint64_t version) {
  if (version <= removed_version_) return;
  removed_version_ = version;
  removed_version_changed_ = true;
}

Status Writer::write_records(const Settlement& settlement) {
  if (checked_.empty()) return Status::ok();
  int64_t now = wall_ms();
  bool direct = batch_events_ < kBusyBatch;
  for (size_t i = 0; i < checked_.size(); ++i) {
    Status s = records_.write(std::move(checked_[i].id), settlement.records[i].value, checked_[i].made, now, direct);
    if (!s) return s;
  }
  return Status::ok();
}

Status Writer::write_outcome(const Settlement& s, Batch& batch) {
  if (s.kind == Settlement::Kind::kRetry || s.kind == Settlement::Kind::kPostpone) {
    retry_.bind(1, s.delivery).bind(2, s.attempts).bind(3, s.detail).bind(4, s.due_at).bind(5, s.duration_us);
    if (Status written = run(retry_, "put a delivery off"); !written) return written;
    if (sqlite3_changes(database_.handle()) == 0) return {Code::kGone, "the delivery is settled already"};
  } else {
    bool dead = s.kind == Settlement::Kind::kDead;
    settle_.bind(1, s.delivery).bind(2, dead ? "dead" : "done").bind(3, s.attempts).bind(5, wall_ms()).bind(6, s.duration_us);
    dead ? settle_.bind(4, s.detail) : settle_.bind_null(4);
    if (Status written = run(settle_, "settle a delivery"); !written) return written;
    if (sqlite3_changes(database_.handle()) == 0) return {Code::kGone, "the delivery is settled already"};
    ++batch.settled;
    --batch.open_change;
    if (dead) ++batch.dead_change;
  }
  if (s.kind == Settlement::Kind::kDone || s.kind == Settlement::Kind::kPostpone) return Status::ok();
  insert_attempt_.bind(1, s.delivery).bind(2, s.attempts).bind(3, s.started_at).bind(4, s.duration_us);
  insert_attempt_.bind(5, s.outcome).bind(6, s.detail);
  return run(insert_attempt_, "store an attempt");
}

Status Writer::commit(const Batch& batch) {
  if (dedupe_.merging()) {
    size_t budget = batch_events_ * kMergePerEvent;
    if (Status s = dedupe_.merge(budget, wall_ms()); !s) return s;
  }
  if (Status s = move_open_mark(batch); !s) return s;
  if (seqs_changed_) {
    if (Status s = run(set_seq_.bind(1, event_seq_).bind(2, delivery_seq_), "keep the marks"); !s) return s;
  }
  if (removed_version_changed_) {
    if (Status s = run(set_removed_version_.bind(1, static_cast<int64_t>(removed_version_)), "keep the versions"); !s) return s;
  }
  if (Status s = run(commit_, "commit"); !s) return s;
  seqs_changed_ = removed_version_changed_ = false;
  if (settled_since_mark_ >= kMoveMarkAfter) settled_since_mark_ = 0;
  open_seq_ = std::max(open_seq_, std::exchange(moved_open_seq_, 0));
  dedupe_.commit();
  records_.commit();
  timers_.commit();
  open_ += static_cast<uint64_t>(batch.open_change);
  dead_ += static_cast<uint64_t>(batch.dead_change);
  return Status::ok();
}

// A few rows at a time: one delivery that stayed open for long must not make the senders wait for a walk past all the later ones.
Status Writer::move_open_mark(const Batch& batch) {
  settled_since_mark_ += batch.settled;
  if (settled_since_mark_ < kMoveMarkAfter) return Status::ok();
  ResetAtEnd reset(first_open_);
  first_open_.bind(1, open_seq_).bind(2, static_cast<int64_t>(kMoveMarkBy));
  if (first_open_.step() != SQLITE_ROW) return database_.fault("look for open deliveries");
  int64_t first = first_open_.integer(0);
  if (first <= open_seq_) return Status::ok();
  if (Status s = run(set_open_seq_.bind(1, first), "keep the mark of open deliveries"); !s) return s;
  moved_open_seq_ = first;
  return Status::ok();
}

void Writer::rollback() {
  moved_open_seq_ = 0;
  if (database_.in_transaction()) rollback_.run();
  dedupe_.rollback();
  records_.rollback();
  timers_.rollback();
}

Status Writer::checkpoint_if_due() { 
  if (wal_pages_ == 0) return Status::ok();
  return checkpointer_.after_commit(std::exchange(wal_pages_, 0));
}

}  // namespace postern::store::sqlite
