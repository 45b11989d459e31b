// DedupeIndex: which events were seen, without a table keyed by random ids slowing ingest down.
//
// A B-tree that takes random keys one by one touches another page for each: ingest decays as it grows. So the newest keys live in
// memory only (`event`, appended in order, is their durable form), and are merged into the table `dedupe` in order of key, 100,000
// at once, a slice in each batch. meta.dedupe_merged_seq says up to which event the table is complete; at start the keys of
// later events are read back. Once an hour a pass also drops what has expired.
// Thread-safety: the committer's thread.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <memory_resource>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/base/status.h"
#include "core/ingest/event.h"
#include "core/store/sqlite/database.h"
#include "core/store/sqlite/dedupe_filter.h"

namespace postern::store::sqlite {

class DedupeIndex {
 public:
  using Key = ingest::DedupeKey;

  explicit DedupeIndex(size_t merge_at = 100'000)
      : merge_at_(merge_at), fresh_(std::make_unique<Generation>(merge_at)), frozen_(std::make_unique<Generation>(0)) {}

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
  size_t in_memory() const { return fresh_->keys.size() + frozen_->keys.size(); }

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
  // Keys come one by one and go all at once, so their memory is cut from large pieces.
  struct Generation {
    explicit Generation(size_t expected) { keys.reserve(expected); }  // growing it in steps would stop the committer for milliseconds
    std::pmr::monotonic_buffer_resource memory;
    std::pmr::unordered_map<Key, Entry, Hash> keys{&memory};
  };

  Status load_filter(Database& database);
  Status load_fresh(Database& database);
  void keep(const Key& key, const Entry& entry);
  void freeze(int64_t now_ms);
  Status finish_pass();

  size_t merge_at_;
  DedupeFilter filter_;                 // of all there are, here and in the table
  std::unique_ptr<Generation> fresh_;   // newest keys
  std::unique_ptr<Generation> frozen_;  // being merged; still found here until all of it is in the table
  std::vector<Key> frozen_order_;  // its keys, sorted
  size_t merged_ = 0;              // how many of them are in the table
  int64_t frozen_seq_ = 0;         // the table is complete up to here once they all are
  int64_t last_seq_ = 0;
  std::vector<Key> uncommitted_;
  size_t merged_before_transaction_ = 0;
  bool pass_finished_ = false;
  int64_t expired_at_ms_ = 0;  // when the last pass began that drops what has expired
  bool expires_ = false;       // whether the pass at hand does
  Statement find_, insert_, expire_, set_merged_;
};

}  // namespace postern::store::sqlite
