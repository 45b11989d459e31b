// A row of `job`, for whoever reads or changes one. Thread-safety: as the Statement's.
#pragma once

#include "core/store/sqlite/database.h"
#include "core/store/upkeep.h"

namespace postern::store::sqlite {

inline constexpr const char* kJobColumns =
    "id, kind, state, plugin, type, since, until, dead_until, error, listed, rate, last_seq, cursor, total IS NOT NULL, total, done, "
    "skipped, created_at, finished_at";

// kCorrupt where it says what no gateway writes.
inline Result<Job> read_job(Statement& from) {
  Job job;
  job.id = from.integer(0);
  bool known = false;
  for (JobKind kind : {JobKind::kReplay, JobKind::kRerun, JobKind::kDrop, JobKind::kPrune}) {
    if (from.text(1) == to_text(kind)) job.kind = kind, known = true;
  }
  if (!known) return Status(Code::kCorrupt, "job " + std::to_string(job.id) + " is of an unknown kind");
  for (JobState state : {JobState::kRunning, JobState::kDone, JobState::kCancelled}) {
    if (from.text(2) == to_text(state)) job.state = state;
  }
  job.selection = {std::string(from.text(3)), std::string(from.text(4)), from.integer(5), from.integer(6), std::string(from.text(8))};
  if (job.kind == JobKind::kPrune) job.cutoff = {from.integer(6), from.integer(7)};
  job.listed = from.integer(9) != 0;
  job.rate = static_cast<uint32_t>(from.integer(10));
  job.last = from.integer(11);
  job.cursor = from.integer(12);
  if (from.integer(13) != 0) job.total = static_cast<uint64_t>(from.integer(14));
  job.done = static_cast<uint64_t>(from.integer(15));
  job.skipped = static_cast<uint64_t>(from.integer(16));
  job.created_at = from.integer(17);
  job.finished_at = from.integer(18);
  return job;
}

// Whether an event `e` may be removed, with parameters ?2 Cutoff::until, ?3 Cutoff::dead_until, ?4 now. The newest deduplication keys are
// in `event` alone (see dedupe_index.h), up to the mark also in `dedupe`.
inline constexpr const char* kMayBePruned =
    "e.received_at < ?2 AND (e.dedupe_until <= ?4 OR e.seq <= (SELECT value FROM meta WHERE name = 'dedupe_merged_seq')) "
    "AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.seq >= e.first_delivery AND d.seq < e.first_delivery + e.deliveries "
    "AND NOT (d.state = 'done' OR (d.state = 'dead' AND d.settled_at < ?3)))";

}  // namespace postern::store::sqlite
