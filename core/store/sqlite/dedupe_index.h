// DedupeIndex: which events were seen, without a table keyed by random ids slowing ingest down.
//
// A B-tree that takes random keys touches another page for each: ingest decays as it grows. So the newest keys live in memory only
// (`event`, appended in order, is their durable form), and 100,000 or more at once go into the table `dedupe` as one segment, sorted, in
// slices that are part of the batches: the table only ever grows at its end, and what has expired goes a whole segment at a time. A filter
// in memory answers for nearly all new keys; the others are searched for in the segments, the newest first.
// meta.dedupe_merged_seq says up to which event the table is complete; at start the keys of later events are read back.
// Thread-safety: the committer's thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/ingest/event.h"
#include "core/store/sqlite/bloom_filter.h"
#include "core/store/sqlite/database.h"
#include "core/store/sqlite/fresh_keys.h"

namespace postern::store::sqlite {

class DedupeIndex {
 public:
  using Key = ingest::DedupeKey;

  // `merge_at`: how many keys make a segment, at least; more, the more there are, so that segments stay few.
  explicit DedupeIndex(size_t merge_at = 100'000) : merge_at_(merge_at), fresh_(merge_at) {}

  // Reads back what is not merged yet. `last_seq`: the newest event there is.
  Status load(Database& database, int64_t last_seq);

  // The id of the event that had this key first, unless that has expired.
  Result<std::optional<std::string>> find(const Key& key, int64_t now_ms);

  // The key of a new event of the open transaction. rollback() forgets those since the last commit().
  void insert(const Key& key, int64_t seq, std::string_view event_id, int64_t until_ms);
  void commit();
  void rollback();

  // Writes up to `budget` keys to the table, and drops as many that have expired, inside the open transaction.
  Status merge(size_t budget, int64_t now_ms);
  bool merging() const { return frozen_.has_value(); }
  size_t in_memory() const { return fresh_.size() + (frozen_ ? frozen_->size() : 0); }

 private:
  struct Segment {
    int64_t number;    // the newest event at its time
    int64_t until_ms;  // when the last of its keys expires
    size_t keys;
  };

  Status prepare(Database& database);
  Status load_segments(Database& database);
  Status load_fresh(Database& database);
  void keep(const SeenKey& entry);
  const SeenKey* in_memory(const Key& key) const;
  size_t segment_size() const;
  void freeze(int64_t now_ms);
  Status write_frozen(size_t budget);
  Status insert(const SeenKey* const* rows, size_t count);
  Status finish_pass();
  Status drop_expired(size_t budget);
  Status run(Statement& statement);

  size_t merge_at_;
  BloomFilter filter_;             // of all there are, here and in the table
  FreshKeys fresh_;                // newest keys
  std::optional<FreshKeys> frozen_;  // the segment that is being written; still found here until all of it is in the table
  std::vector<Segment> segments_;  // of the table, by number
  std::vector<int64_t> expired_;   // segments that nobody needs, of which rows are left
  // How far `frozen_` is in the table.
  struct Merged {
    size_t place = 0;  // where it goes on
    size_t keys = 0;
    int64_t until_ms = 0;  // when the last of them expires
  };
  Merged merged_;
  int64_t frozen_seq_ = 0;         // the table is complete up to here once they all are; the number of the segment
  int64_t last_seq_ = 0;
  int64_t merged_seq_ = 0;         // the mark in `meta`

  // What the open transaction has done; rollback() takes it back.
  Merged merged_before_;
  bool pass_finished_ = false;
  bool dropped_all_ = false;  // of expired_.back()

  Statement find_, insert_one_, insert_many_, drop_, set_merged_;
};

}  // namespace postern::store::sqlite
