// The tables, as DESIGN's contract names them; times are Unix milliseconds. Other programs read them, so columns are only added.
//
//   event     one row for each webhook; appended in order of seq. `headers` are lines "Name: value\r\n", `body` the exact bytes.
//             dedupe_key is what a duplicate is recognised by (16 bytes), until dedupe_until. Its deliveries are `deliveries` rows
//             from first_delivery on: they are made together.
//   delivery  one row for each subscriber of an event. state: queued, done, dead ("running" is known to the process alone).
//             It has no index over `event` or the queued ones, which would cost each event two more places to write to.
//             replayed_at: when somebody last had it queued again after it was settled; earlier_attempts: those before that.
//             dropped_at: when somebody gave it up for good; it is done then, and last_error says what it had died of.
//             While it is queued, due_at is when it runs again at the earliest, and last_error why it did not get through: it failed, or
//             was put off without an attempt.
//   attempt   the failed runs of a delivery; n goes on counting when it is replayed.
//   job       replays, drops and removals that are under way or over (see upkeep.h); job_item: the deliveries of those with a list.
//   dedupe    the keys of older events, in segments, each in its own order; the newest 100,000 or so are only in `event` (see
//             dedupe_index.h).
//   timer     what shall become an event of its plugin at due_at; seq is another one whenever it is set again (see ../timers.h).
//   crash     what ended earlier lives of the gateway inside plugins, each life once; the newest 1,000. pardoned_at: since somebody
//             released the plugin it does not count any more.
//   record    what handlers keep; version grows by one at each write. Complete whenever the gateway has been idle for a second.
//   record_log  records that were written under load, above the mark record_merged_seq newer than `record` (see record_buffer.h).
//   meta      high-water marks: event_seq, delivery_seq (never reused), dedupe_merged_seq, record_merged_seq, and delivery_open_seq:
//             no delivery before it is queued, but for replayed ones, which have an index of their own.
//
// Version 2 added record_log and its mark: a gateway that does not know them would miss records, so it must refuse the store. Version 3
// added first_delivery, deliveries and delivery_open_seq, and dropped the indexes that they replace, and gave dedupe its segments. Version
// 4 added the jobs and what a delivery tells of them. Version 5 added the timers: a gateway that does not know them would never fire them.
// Version 6 added the crashes. Version 7 made `record` an ordinary table with an index by name.
#pragma once

#include "core/base/status.h"
#include "core/store/sqlite/database.h"

namespace postern::store::sqlite {

constexpr int kSchemaVersion = 7;

// Makes the tables in an empty database, adds what an older version lacks. Refuses a database of a newer version, or of another
// program, untouched.
Status prepare_schema(Database& database);

}  // namespace postern::store::sqlite
