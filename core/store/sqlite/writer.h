// Writer: the write connection and its statements: what one batch of events and settlements becomes in SQL.
// Thread-safety: the committer's thread, but for record(), open_count(), dead_count() and what timers() says of itself.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/store/sqlite/bulk_insert.h"
#include "core/store/sqlite/checkpointer.h"
#include "core/store/sqlite/database.h"
#include "core/store/sqlite/dedupe_index.h"
#include "core/store/sqlite/gathering_vfs.h"
#include "core/store/sqlite/log_syncer.h"
#include "core/store/sqlite/record_buffer.h"
#include "core/store/sqlite/timer_table.h"
#include "core/store/store.h"

namespace postern::store::sqlite {

class Writer {
 public:
  // What a transaction adds; valid once it is committed.
  struct Batch {
    std::vector<OpenDelivery> deliveries;
    uint64_t stored = 0, duplicates = 0, settled = 0;
    int64_t open_change = 0, dead_change = 0;
  };

  explicit Writer(RecordBuffer::Limits records) : records_(records) {}

  // Locks the store against a second gateway, makes or checks the tables, reads the marks.
  Status open(const std::string& path);

  // Whether the deliveries of this transaction shall bring their events along.
  Status begin(bool with_events);
  // Stores the event or finds it a duplicate; fills in seq, event_id and outcome. A fault spoils the whole batch.
  // Its rows are kept until flush(), and what they are made of with them: the event and the batch.
  Status write(ingest::PendingEvent& event, Batch& batch);
  // Stores what was kept; before anything else is written, or read from these tables.
  Status flush(const Batch& batch);
  // kConflict in settlement.status when a record has another version, kGone when the delivery is not open any more, kLimit when there
  // would be too many timers; then nothing of it is written, and the batch goes on.
  Status write(Settlement& settlement, Batch& batch);
  // A timer that is due becomes its event. False: it has been removed or set again meanwhile.
  Result<bool> fire(Firing& timer, Batch& batch);
  // Visible to readers after that, and durable only when make_durable() says so.
  Status commit(const Batch& batch);
  void rollback();
  // Calls `done` once, when all commits so far are on the disk, or not: now, or where `beside`, perhaps on a thread of its own while the
  // next transaction goes on. One after the other.
  void make_durable(bool beside, std::function<void(const Status&)> done);
  // Until all of that is done.
  void wait_for_sync() { syncer_.wait(); }
  // At the end, when all of that has gone well: the next start goes on with the very next numbers.
  Status keep_marks();

  // Records that are not in their table yet: moves some of them, inside the open transaction (see record_buffer.h).
  Status merge_records(size_t budget) { return records_.merge(budget); }
  // What the open transaction has to move so that memory stays bounded; 0 mostly.
  size_t records_to_merge() const { return records_.is_full() ? records_.written() * kMergePerRecord : 0; }
  bool has_records_to_merge() const { return records_.has_work(); }
  // A committed record, where its table may not have it yet.
  RecordBuffer::Found record(const std::string& plugin, const std::string& collection, const std::string& key) const {
    return records_.find(RecordBuffer::id_of(plugin, collection, key));
  }
  std::map<std::string, Record> records(const RecordFilter& filter) const { return records_.list(filter); }

  TimerTable& timers() { return timers_; }
  const TimerTable& timers() const { return timers_; }

  // For tasks, inside the open transaction.
  Database& database() { return database_; }

  // Moves the log into the database file as it grows. Errors of that count as those of a commit.
  Status checkpoint_if_due();
  // After a fault: closing must not touch the database any more; the next start recovers from the log.
  void leave_log() { database_.checkpoint_on_close(false); }

  uint64_t open_count() const { return open_.load(std::memory_order_relaxed); }
  uint64_t dead_count() const { return dead_.load(std::memory_order_relaxed); }

 private:
  static constexpr size_t kMergePerRecord = 3;

  struct Numbers {
    int64_t event = 0, delivery = 0;
  };

  Status prepare_statements();
  Status read_marks();
  int64_t add_event(ingest::NewEvent& event, std::string& event_id, Batch& batch);
  const ingest::NewEvent& add_deliveries(ingest::NewEvent& event, int64_t seq, const std::string& event_id, Batch& batch);
  Status check_records(const Settlement& settlement);
  void note_removed(uint64_t version);
  Status write_records(const Settlement& settlement);
  Status write_outcome(const Settlement& settlement, Batch& batch);
  Status write_marks(const Numbers& up_to);
  Status move_open_mark(const Batch& batch);
  Status run(Statement& statement, const char* doing);

  struct Descriptor {
    int fd = -1;
    ~Descriptor();
  };
  // Before the database, so that they outlive it: closing writes, and to close any descriptor of a file gives up the process's locks on it.
  Descriptor lock_, file_;
  LogSyncer syncer_;  // as well: closing asks it
  GatheringVfs vfs_;
  Database database_;
  Checkpointer checkpointer_;
  DedupeIndex dedupe_;
  RecordBuffer records_;
  TimerTable timers_;
  struct Checked {
    std::string id;
    uint64_t seen;  // the version as the handler counts after this write; 0: no record
    uint64_t made;  // the version that this write gives; 0: it removes
  };
  std::vector<Checked> checked_;   // the writes of the settlement at hand
  uint64_t removed_version_ = 0;   // no removed record had a higher one: whoever makes it anew goes on from here
  bool removed_version_changed_ = false;
  int wal_pages_ = 0;
  Numbers given_;  // the last ones
  // No number is given twice, whatever becomes of its row. So up to here they count as given, should the gateway be killed: to write the
  // last ones with each batch would be a page of the log more.
  Numbers kept_;
  int64_t open_seq_ = 0;        // no delivery before it is open
  int64_t moved_open_seq_ = 0;  // the same, seen from the open transaction; 0: unchanged
  uint64_t settled_since_mark_ = 0;
  size_t batch_events_ = 0;
  struct NewRow {
    const ingest::NewEvent* event;
    const std::string* id;
    int64_t seq, first_delivery, deliveries;
  };
  std::vector<NewRow> new_events_;  // and the last ones of the batch's deliveries, from this one on
  size_t first_new_delivery_ = 0;
  bool with_events_ = true;
  std::atomic<uint64_t> open_{0}, dead_{0};
  Statement begin_, commit_, rollback_;
  BulkInsert insert_events_, insert_deliveries_;
  Statement settle_, retry_, insert_attempt_, set_seq_, set_open_seq_, set_removed_version_, first_open_;
};

}  // namespace postern::store::sqlite
