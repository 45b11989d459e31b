#include "core/store/sqlite/schema.h"

#include <initializer_list>
#include <string>
#include <vector>

#include "core/base/log.h"

namespace postern::store::sqlite {
namespace {

constexpr int64_t kApplicationId = 0x50737472;  // "Pstr"

constexpr const char* kTables = R"sql(
  CREATE TABLE event (
    seq INTEGER PRIMARY KEY,
    dedupe_key BLOB NOT NULL,
    dedupe_until INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    id TEXT NOT NULL,
    provider TEXT NOT NULL,
    type TEXT NOT NULL,
    external_id TEXT NOT NULL,
    order_key TEXT NOT NULL,
    depth INTEGER NOT NULL,
    first_delivery INTEGER NOT NULL DEFAULT 0,
    deliveries INTEGER NOT NULL DEFAULT 0,
    method TEXT NOT NULL,
    target TEXT NOT NULL,
    remote TEXT NOT NULL,
    headers BLOB NOT NULL,
    body BLOB NOT NULL
  );
  CREATE TABLE delivery (
    seq INTEGER PRIMARY KEY,
    event INTEGER NOT NULL,
    plugin TEXT NOT NULL,
    subscriber TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    last_error TEXT,
    settled_at INTEGER,
    duration_us INTEGER,
    replayed_at INTEGER,
    earlier_attempts INTEGER NOT NULL DEFAULT 0,
    dropped_at INTEGER
  );
  CREATE INDEX delivery_dead ON delivery (seq) WHERE state = 'dead';
  CREATE TABLE attempt (
    delivery INTEGER NOT NULL,
    n INTEGER NOT NULL,
    started_at INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (delivery, n)
  ) WITHOUT ROWID;
  CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
  INSERT INTO meta VALUES ('event_seq', 0), ('delivery_seq', 0), ('delivery_open_seq', 0), ('dedupe_merged_seq', 0);
)sql";

// Its values stand in rows of their own, in the order in which they came; by name is the index. Where the values were within the tree of
// names (up to version 6), each new one of a random name cost a leaf, and each search read long values whole to compare their names.
constexpr const char* kRecords = R"sql(
  CREATE TABLE record (
    plugin TEXT NOT NULL,
    collection TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    version INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (plugin, collection, key)
  );
)sql";

constexpr const char* kDedupe = R"sql(
  CREATE TABLE dedupe (
    segment INTEGER NOT NULL,
    key BLOB NOT NULL,
    event TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (segment, key)
  ) WITHOUT ROWID;
)sql";

// What version 2 added.
constexpr const char* kRecordLog = R"sql(
  CREATE TABLE record_log (
    seq INTEGER PRIMARY KEY,
    plugin TEXT NOT NULL,
    collection TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    version INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
  );
  INSERT INTO meta VALUES ('record_merged_seq', 0);
)sql";

// What version 3 changed. Without two indexes that every delivery had to be entered into: an event tells where its deliveries are (they are
// made together, one after the other), and a mark from where on there can be open ones. And with segments of dedupe, see dedupe_index.h.
constexpr const char* kTo3 = R"sql(
  ALTER TABLE event ADD COLUMN first_delivery INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE event ADD COLUMN deliveries INTEGER NOT NULL DEFAULT 0;
  UPDATE event SET (first_delivery, deliveries) =
    (SELECT ifnull(min(d.seq), 0), count(*) FROM delivery d WHERE d.event = event.seq);
  INSERT INTO meta SELECT 'delivery_open_seq', ifnull(min(seq), (SELECT value + 1 FROM meta WHERE name = 'delivery_seq'))
    FROM delivery WHERE state IN ('queued', 'running');
  DROP INDEX delivery_open;
  DROP INDEX delivery_event;
  ALTER TABLE dedupe RENAME TO dedupe_2;
)sql";

constexpr const char* kCopyDedupe = R"sql(
  INSERT INTO dedupe SELECT 0, key, event, expires_at FROM dedupe_2 ORDER BY key;
  DROP TABLE dedupe_2;
)sql";

// What version 4 added: what a delivery tells of its replays ...
constexpr const char* kTo4 = R"sql(
  ALTER TABLE delivery ADD COLUMN replayed_at INTEGER;
  ALTER TABLE delivery ADD COLUMN earlier_attempts INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE delivery ADD COLUMN dropped_at INTEGER;
)sql";

// ... and the jobs. The index holds only what was replayed and is open, so that an ordinary delivery is entered nowhere.
constexpr const char* kJobs = R"sql(
  CREATE INDEX delivery_replayed ON delivery (seq) WHERE replayed_at IS NOT NULL AND state IN ('queued', 'running');
  CREATE TABLE job (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    plugin TEXT NOT NULL,
    type TEXT NOT NULL,
    since INTEGER NOT NULL,
    until INTEGER NOT NULL,
    dead_until INTEGER NOT NULL,
    error TEXT NOT NULL,
    listed INTEGER NOT NULL,
    rate INTEGER NOT NULL,
    last_seq INTEGER NOT NULL,
    cursor INTEGER NOT NULL,
    total INTEGER,
    done INTEGER NOT NULL,
    skipped INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    finished_at INTEGER
  );
  CREATE TABLE job_item (
    job INTEGER NOT NULL,
    delivery INTEGER NOT NULL,
    PRIMARY KEY (job, delivery)
  ) WITHOUT ROWID;
)sql";

// What version 5 added. The index holds all that is looked at while one is not due; bodies can be large.
constexpr const char* kTimers = R"sql(
  CREATE TABLE timer (
    seq INTEGER PRIMARY KEY,
    plugin TEXT NOT NULL,
    name TEXT NOT NULL,
    due_at INTEGER NOT NULL,
    set_at INTEGER NOT NULL,
    type TEXT NOT NULL,
    order_key TEXT NOT NULL,
    depth INTEGER NOT NULL,
    body BLOB NOT NULL,
    UNIQUE (plugin, name)
  );
  CREATE INDEX timer_due ON timer (due_at, seq, plugin, set_at);
)sql";

// What version 6 added.
constexpr const char* kCrashes = R"sql(
  CREATE TABLE crash (
    seq INTEGER PRIMARY KEY,
    life INTEGER NOT NULL UNIQUE,
    plugin TEXT NOT NULL,
    build TEXT NOT NULL,
    entry_point TEXT NOT NULL,
    delivery INTEGER,
    at INTEGER NOT NULL,
    signal TEXT NOT NULL,
    place TEXT NOT NULL,
    backtrace TEXT NOT NULL,
    pardoned_at INTEGER
  );
)sql";

// What version 7 changed: see kRecords.
constexpr const char* kTo7 = "ALTER TABLE record RENAME TO record_6";
constexpr const char* kCopyRecords = R"sql(
  INSERT INTO record SELECT plugin, collection, key, value, version, updated_at FROM record_6 ORDER BY plugin, collection, key;
  DROP TABLE record_6;
)sql";

// What makes a store of that version one of ours, in this order.
std::vector<const char*> steps_from(int64_t version) {
  if (version == 0) return {kTables, kRecords, kDedupe, kRecordLog, kJobs, kTimers, kCrashes};
  std::vector<const char*> steps;
  auto add = [&](std::initializer_list<const char*> more) { steps.insert(steps.end(), more); };
  if (version < 2) add({kRecordLog});
  if (version < 3) add({kTo3, kDedupe, kCopyDedupe});
  if (version < 4) add({kTo4, kJobs});
  if (version < 5) add({kTimers});
  if (version < 6) add({kCrashes});
  add({kTo7, kRecords, kCopyRecords});
  return steps;
}

}  // namespace

Status prepare_schema(Database& database) {
  auto version = database.integer("PRAGMA user_version");
  if (!version) return version.status();
  auto application = database.integer("PRAGMA application_id");
  if (!application) return application.status();
  auto tables = database.integer("SELECT count(*) FROM sqlite_master");
  if (!tables) return tables.status();

  if (*tables > 0 && *application != kApplicationId) {
    return {Code::kInvalid, "the store is a database of another program; give another path"};
  }
  if (*version > kSchemaVersion) {
    return {Code::kInvalid, "the store was written by a newer Postern (schema " + std::to_string(*version) + ", this one knows " +
                                std::to_string(kSchemaVersion) + "); install that version again, or give another path"};
  }
  if (*version == kSchemaVersion) return Status::ok();

  if (*version == 0) {
    // Only an empty file can be switched to incremental vacuum, so it is done before the first table.
    // An event takes a third of SQLite's usual page, so that much of each stays empty. Existing stores keep their size.
    if (Status s = database.execute("PRAGMA page_size=8192"); !s) return s;
    if (Status s = database.execute("PRAGMA auto_vacuum=INCREMENTAL"); !s) return s;
    if (Status s = database.execute("PRAGMA journal_mode=WAL"); !s) return s;
  }
  if (*version > 0) {
    log::warn("the store is brought to this version's form: it takes minutes for many millions of events, and as much free disk as it has",
              {{"from", *version}, {"to", kSchemaVersion}});
  }
  if (Status s = database.execute("BEGIN IMMEDIATE"); !s) return s;
  for (const char* step : steps_from(*version)) {
    if (Status s = database.execute(step); !s) return s;
  }
  if (Status s = database.execute(("PRAGMA application_id=" + std::to_string(kApplicationId)).c_str()); !s) return s;
  if (Status s = database.execute(("PRAGMA user_version=" + std::to_string(kSchemaVersion)).c_str()); !s) return s;
  return database.execute("COMMIT");
}

}  // namespace postern::store::sqlite
