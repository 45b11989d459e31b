// DedupeIndex: which events were seen, without a table keyed by random ids slowing ingest down.
//
// A B-tree that takes random keys one by one touches another page for each: ingest decays as it grows. So the newest keys live in
// memory only (`event`, appended in order, is their durable form), and are merged into the table `dedupe` in order of key, 100,000
// at once, a slice in each batch. meta.dedupe_merged_seq says up to which event the table is complete; at start the keys of
// later events are read back. A pass also drops what has expired in the range it walks through.
// Thread-safety: the committer's thread.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/status.h"
#include "core/ingest/event.h"
#include "core/store/sqlite/database.h"

namespace postern::store::sqlite {

class DedupeIndex {
 public:
  using Key = ingest::DedupeKey;

  explicit DedupeIndex(size_t merge_at = 100'000) : merge_at_(merge_at) { fresh_.reserve(merge_at); }

  // Reads back what is not merged yet. `last_seq`: the newest event there is.
  Status load(Database& database, int64_t last_seq);

  // The id of the event that had this key first, unless that has expired.
  Result<std::optional<std::string>> find(const Key& key, int64_t now_ms);

  // The key of a new event of the open transaction. rollback() forgets those since the last commit().
  void insert(const Key& key, int64_t seq, std::string_view event_id, int64_t until_ms);
  void commit();
  void rollback();

  // Writes up to `budget` keys to the table, inside the open transaction.
  Status merge(size_t budget, int64_t now_ms);
  bool merging() const { return !frozen_order_.empty(); }
  size_t in_memory() const { return fresh_.size() + frozen_.size(); }

 private:
  struct Entry {
    std::array<char, 30> event_id;
    int64_t until_ms;
  };
  struct Hash {  // keys are SHA-256: any bytes of them are as good as a hash
    size_t operator()(const Key& key) const {
      size_t hash;
      std::memcpy(&hash, key.data(), sizeof hash);
      return hash;
    }
  };
  using Map = std::unordered_map<Key, Entry, Hash>;

  void freeze();
  Status finish_pass();

  size_t merge_at_;
  Map fresh_;                      // newest keys
  Map frozen_;                     // the generation that is being merged; still found here until all of it is in the table
  std::vector<Key> frozen_order_;  // its keys, sorted
  size_t merged_ = 0;              // how many of them are in the table
  int64_t frozen_seq_ = 0;         // the table is complete up to here once they all are
  int64_t last_seq_ = 0;
  std::vector<Key> uncommitted_;
  size_t merged_before_transaction_ = 0;
  bool pass_finished_ = false;
  Statement find_, insert_, expire_, set_merged_;
};

}  // namespace postern::store::sqlite
