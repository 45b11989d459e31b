// RecordBuffer: the newest records of handlers, kept from touching a page of the table each while senders wait.
//
// `record` has an index by what handlers choose, mostly random ids: each write dirties another leaf of it, which goes through the
// log and then into the database. So under load a record is appended to `record_log`, and found in memory, until it is merged
// into `record` in the order of its key: in slices, when no sender waits or when more than a bound is in memory. Without load a
// record goes into the table directly. meta.record_merged_seq says up to which row of the log the table is complete; at start the
// later rows are read back.
//
// What holds: an entry in memory is newer than the table's row; the table is written directly only while nothing is in memory,
// nor anything in the log above the mark.
// Thread-safety: the committer's thread; find() from any thread, which sees what is committed.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/store/rows.h"
#include "core/store/sqlite/database.h"
#include "core/store/sqlite/known_records.h"
#include "core/store/store.h"

namespace postern::store::sqlite {

class RecordBuffer {
 public:
  struct Limits {
    size_t entries = 100'000;  // in memory; beyond either one, merging keeps up with what comes, waiting senders or not
    size_t bytes = 64 * 1024 * 1024;
  };
  // A record's name, as one string.
  static std::string id_of(std::string_view plugin, std::string_view collection, std::string_view key);

  explicit RecordBuffer(Limits limits) : limits_(limits) {}

  // Reads back what is not merged yet. The database outlives the buffer.
  Status load(Database& database) EXCLUDES(mutex_);
  // After that: begins to learn of the table at `path` what need not be looked for in it.
  void learn_names(const std::string& path) { known_.start(path); }

  struct Found {
    std::optional<Record> record;  // the committed one, if it is in memory; version 0: it was removed
    bool may_be_in_table = false;  // otherwise
  };
  Found find(const std::string& id) const EXCLUDES(mutex_);
  // What is in memory of a page, by key, removed ones too: they hide what the table has. Whole up to the key of the last one.
  std::map<std::string, Record> list(const RecordFilter& filter) const EXCLUDES(mutex_);

  // Inside the open transaction. 0: there is no such record.
  Result<uint64_t> version(const std::string& id) EXCLUDES(mutex_);
  // An empty value and version 0 remove it. `direct`: into the table, as far as that is allowed now.
  Status write(std::string id, const std::string& value, uint64_t version, int64_t now_ms, bool direct) EXCLUDES(mutex_);
  // Moves up to `budget` records into the table, and drops as many rows of the log that are merged.
  Status merge(size_t budget) EXCLUDES(mutex_);
  void commit() EXCLUDES(mutex_);
  void rollback() EXCLUDES(mutex_);

  // Whether merge() has something to do; at the end of a pass only after the commit.
  bool has_work() const { return (entries_ > 0 && !pass_finished_) || purge_next_ <= merged_seq_; }
  bool is_full() const { return entries_ > limits_.entries || bytes_ > limits_.bytes; }
  size_t in_memory() const { return entries_; }
  size_t written() const { return pending_writes_; }  // to the log by the open transaction

 private:
  struct Entry {
    std::string value;
    uint64_t version = 0;
    int64_t updated_at = 0;
  };
  using Map = std::map<std::string, Entry>;
  // Says at once of most ids that they are not in memory: handlers ask for new ones mostly, and a search through a large map
  // costs a cache miss for each step.
  class Filter {
   public:
    void add(const std::string& id) {
      if (uint8_t& count = slot(id); count < kStuck) ++count;
    }
    void remove(const std::string& id) {
      if (uint8_t& count = slot(id); count < kStuck) --count;
    }
    bool may_have(const std::string& id) const { return const_cast<Filter*>(this)->slot(id) != 0; }

   private:
    static constexpr uint8_t kStuck = UINT8_MAX;  // too many to count: stays
    static constexpr size_t kSlots = 1 << 20;
    struct Free {
      void operator()(uint8_t* memory) const { std::free(memory); }
    };
    static uint8_t* zeros() {
      auto* memory = static_cast<uint8_t*>(std::calloc(kSlots, 1));  // not a vector: pages that nothing was added to stay untouched
      if (memory == nullptr) throw std::bad_alloc();
      return memory;
    }
    uint8_t& slot(const std::string& id) { return counts_.get()[std::hash<std::string>()(id) % kSlots]; }
    std::unique_ptr<uint8_t[], Free> counts_{zeros()};
  };

  template <typename Visit>
  void visit(const RecordFilter& filter, Visit visit) const REQUIRES(mutex_);
  const Entry* in_maps(const std::string& id) const REQUIRES(mutex_);
  Status put(const std::string& id, const Entry& entry);
  Status finish_pass();
  Status purge(size_t budget);
  static uint64_t bytes_of(const std::string& id, const Entry& entry) { return id.size() + entry.value.size() + 160; }

  const Limits limits_;
  mutable Mutex mutex_;
  Map fresh_ GUARDED_BY(mutex_);   // newest
  Map frozen_ GUARDED_BY(mutex_);  // the generation that is being merged
  Filter filter_ GUARDED_BY(mutex_);  // of both
  KnownRecords known_;
  Map pending_;                    // of the open transaction; not visible to find()

  // The committer's thread alone changes the maps, and may look at its place in one without the lock.
  Map::const_iterator frozen_next_;         // not merged yet, seen from the open transaction
  bool pass_finished_ = false;              // by the open transaction
  size_t entries_ = 0, bytes_ = 0;          // of both maps
  size_t pending_writes_ = 0;
  int64_t log_seq_ = 0;                     // the last one given
  int64_t committed_seq_ = 0;               // the last one of a committed transaction
  int64_t frozen_seq_ = 0;                  // the table is complete up to here at the end of the pass
  int64_t merged_seq_ = 0;                  // the table is complete up to here
  int64_t purge_next_ = 1, purge_before_ = 1;  // rows of the log below it are gone: in the open transaction, before it
  Database* database_ = nullptr;
  Statement version_, put_, remove_, append_, set_merged_, purge_;
};

}  // namespace postern::store::sqlite
