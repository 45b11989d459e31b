// KnownRecords: says at once of nearly every record that nobody ever wrote that there is none. Handlers ask for new ids mostly (the
// message of an event that has just come), and each such question was a walk through a large tree, on a worker and on the committer.
//
// A filter over the names of all records: those of the table are read once after the start, on a thread of its own, and until that is
// done everything may be there; those that are written are added before they can be found. What is removed stays in it until the
// next start; beyond 64 MiB, some 15 million names, the filter is given up and everything may be there again. Other programs may read the
// table, but what they write into it is not found before the next start.
// Memory: about 5 bytes for each record. Thread-safety: any thread; start() and stop() from one.
#pragma once

#include <atomic>
#include <climits>
#include <string>
#include <string_view>
#include <thread>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/store/sqlite/bloom_filter.h"

namespace postern::store::sqlite {

class KnownRecords {
 public:
  explicit KnownRecords(size_t most_bytes = 64 * 1024 * 1024) : most_bytes_(most_bytes) {}
  ~KnownRecords() { stop(); }

  // Of RecordBuffer::id_of(). False: certainly there is no such record.
  bool may_have(std::string_view id) const EXCLUDES(mutex_);
  void add(std::string_view id) EXCLUDES(mutex_);
  // Of memory, for what was added so far.
  size_t bytes() const EXCLUDES(mutex_);

  // Reads the names of the store at `path`, a few at once, more beside everything else. A fault is logged, and leaves may_have() saying
  // yes.
  void start(const std::string& path);
  void stop();
  // The same on this thread; kUnavailable when stop() came first, kLimit when there is more than so many transactions read.
  Status read(const std::string& path, int most = INT_MAX) EXCLUDES(mutex_);

 private:
  mutable Mutex mutex_;
  BloomFilter filter_ GUARDED_BY(mutex_);
  bool complete_ GUARDED_BY(mutex_) = false;
  bool given_up_ GUARDED_BY(mutex_) = false;
  const size_t most_bytes_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace postern::store::sqlite
