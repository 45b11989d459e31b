#include "core/store/sqlite/writer.h"

#include <algorithm>
#include <utility>

#include "core/base/broken.h"
#include "core/base/clock.h"
#include "core/base/ids.h"

namespace postern::store::sqlite {
namespace {

constexpr size_t kMergePerEvent = 2;      // keys moved to the table for each new one, so that a pass always catches up
constexpr size_t kMergeAtLeast = 256;
constexpr uint64_t kMoveMarkAfter = 1024;  // settled deliveries
constexpr size_t kMoveMarkBy = 4096;       // deliveries looked at
constexpr int64_t kNumbersAhead = 4096;
constexpr size_t kBusyBatch = 32;          // events; from here on records are not written to their table directly

std::string_view bytes(const ingest::DedupeKey& key) { return {reinterpret_cast<const char*>(key.data()), key.size()}; }

}  // namespace

Status Writer::run(Statement& statement, const char* doing) {
  return statement.run() == SQLITE_DONE ? Status::ok() : database_.fault(doing);
}

Status Writer::begin(bool with_events) {
  batch_events_ = 0;
  new_events_.clear();
  first_new_delivery_ = 0;
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
  pending.seq = add_event(event, pending.event_id, batch);
  if (until > 0) dedupe_.insert(key, pending.seq, pending.event_id, until);
  pending.outcome = ingest::Outcome::kStored;
  ++batch_events_;
  return Status::ok();
}

int64_t Writer::add_event(ingest::NewEvent& event, std::string& event_id, Batch& batch) {
  int64_t seq = ++given_.event;
  event_id = make_event_id(event.received_at, seq);
  ++batch.stored;
  NewRow row{&event, &event_id, seq, given_.delivery + 1, event.targets ? static_cast<int64_t>(event.targets->size()) : 0};
  if (row.deliveries > 0) row.event = &add_deliveries(event, seq, event_id, batch);
  new_events_.push_back(row);
  return seq;
}

// The event itself is moved to its deliveries, or stays whole: then it is freed by whoever made it, which is cheaper. Gives back where it
// is now.
const ingest::NewEvent& Writer::add_deliveries(ingest::NewEvent& event, int64_t event_seq, const std::string& event_id, Batch& batch) {
  const std::vector<ingest::Target>& targets = *event.targets;  // a copy of the pointer would be one more for two threads to count
  std::shared_ptr<StoredEvent> kept;
  if (with_events_) {
    kept = std::make_shared<StoredEvent>();
    static_cast<ingest::NewEvent&>(*kept) = std::move(event);
    kept->seq = event_seq;
    kept->id = event_id;
  }
  const ingest::NewEvent& whole = kept ? *kept : event;
  for (const ingest::Target& target : targets) {
    OpenDelivery made{++given_.delivery, event_seq, target.plugin, target.subscriber, {}, {}, 0, whole.received_at, kept, 0};
    if (!kept) {
      made.provider = event.provider;
      made.order_key = event.order_key;
    }
    batch.deliveries.push_back(std::move(made));
    ++batch.open_change;
  }
  return whole;
}

Status Writer::flush(const Batch& batch) {
  if (new_events_.empty()) return Status::ok();
  int code = insert_events_.run(new_events_.size(), [this](Statement& s, int at, size_t i) {
    const NewRow& row = new_events_[i];
    const ingest::NewEvent& e = *row.event;
    s.bind(at, row.seq).bind_blob(at + 1, bytes(e.dedupe_key)).bind(at + 2, e.dedupe_until).bind(at + 3, e.received_at);
    s.bind(at + 4, *row.id);
    s.bind(at + 5, e.provider).bind(at + 6, e.type).bind(at + 7, e.external_id).bind(at + 8, e.order_key).bind(at + 9, e.depth);
    s.bind(at + 10, e.method).bind(at + 11, e.target).bind(at + 12, e.remote).bind_blob(at + 13, e.headers).bind_blob(at + 14, e.body);
    s.bind(at + 15, row.first_delivery).bind(at + 16, row.deliveries);
  });
  if (code != SQLITE_DONE) return database_.fault("store an event");
  code = insert_deliveries_.run(batch.deliveries.size() - first_new_delivery_, [this, &batch](Statement& s, int at, size_t i) {
    const OpenDelivery& d = batch.deliveries[first_new_delivery_ + i];
    s.bind(at, d.seq).bind(at + 1, d.event_seq).bind(at + 2, d.plugin).bind(at + 3, d.subscriber).bind(at + 4, std::string_view("queued"));
    s.bind(at + 5, 0).bind(at + 6, d.due_at);
  });
  if (code != SQLITE_DONE) return database_.fault("store a delivery");
  new_events_.clear();
  first_new_delivery_ = batch.deliveries.size();
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
    add_event(event, id, batch);
    if (Status s = flush(batch); !s) return s;
  }
  return Status::ok();
}

Result<bool> Writer::fire(Firing& timer, Batch& batch) {
  auto removed = timers_.remove(timer.timer);
  if (!removed || !*removed) return removed;
  std::string id;
  add_event(timer.event, id, batch);
  if (Status s = flush(batch); !s) return s;
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
  Numbers kept = kept_;
  if (given_.event > kept.event || given_.delivery > kept.delivery) {
    kept = {given_.event + kNumbersAhead, given_.delivery + kNumbersAhead};
    if (Status s = write_marks(kept); !s) return s;
  }
  if (removed_version_changed_) {
    if (Status s = run(set_removed_version_.bind(1, static_cast<int64_t>(removed_version_)), "keep the versions"); !s) return s;
  }
  vfs_.put_off_log_sync(true);
  Status committed = run(commit_, "commit");
  vfs_.put_off_log_sync(false);
  if (!committed) return committed;
  removed_version_changed_ = false;
  kept_ = kept;
  if (settled_since_mark_ >= kMoveMarkAfter) settled_since_mark_ = 0;
  open_seq_ = std::max(open_seq_, std::exchange(moved_open_seq_, 0));
  dedupe_.commit();
  records_.commit();
  timers_.commit();
  open_ += static_cast<uint64_t>(batch.open_change);
  dead_ += static_cast<uint64_t>(batch.dead_change);
  return Status::ok();
}

Status Writer::write_marks(const Numbers& up_to) {
  return run(set_seq_.bind(1, up_to.event).bind(2, up_to.delivery), "keep the marks");
}

Status Writer::keep_marks() {
  if (given_.event >= kept_.event && given_.delivery >= kept_.delivery) return Status::ok();
  if (Status s = run(begin_, "begin"); !s) return s;
  if (Status s = write_marks(given_); !s) return s;
  return run(commit_, "commit");
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

void Writer::make_durable(bool beside, std::function<void(const Status&)> done) {
  auto sync = vfs_.take_log_sync();
  syncer_.wait();
  if (!sync) return done(Status::ok());  // nothing was written
  auto run = [sync = std::move(sync), done = std::move(done)] {
    int code = sync();
    done(code == SQLITE_OK ? Status::ok() : Status(Code::kIo, std::string("sync a commit: ") + sqlite3_errstr(code)));
  };
  beside ? syncer_.run(std::move(run)) : run();
}

Status Writer::checkpoint_if_due() {
  if (wal_pages_ == 0) return Status::ok();
  return checkpointer_.after_commit(std::exchange(wal_pages_, 0));
}

}  // namespace postern::store::sqlite
