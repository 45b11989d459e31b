// TimerTable: the durable timers: `timer` in SQL, and how many each plugin has. See core/store/timers.h.
// Thread-safety: the committer's thread; now_ms(), counts() and tell() from any.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/clock.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/store/sqlite/database.h"
#include "core/store/timers.h"

namespace postern::store::sqlite {

class TimerTable {
 public:
  // The database outlives the table. Outside a transaction.
  Status load(Database& database) EXCLUDES(mutex_);

  // Unix milliseconds, as they would be if nobody had set the clock since this was made.
  int64_t now_ms() const { return opened_wall_ms_ + (boot_ms() - opened_boot_ms_); }

  // Inside the open transaction.
  // kLimit when the plugin would have too many; nothing is written.
  Status check(const std::string& plugin, const std::vector<TimerWrite>& writes) EXCLUDES(mutex_);
  Status write(const std::string& plugin, const std::vector<TimerWrite>& writes);
  // False: it is not there any more.
  Result<bool> remove(int64_t seq);
  void commit() EXCLUDES(mutex_);
  void rollback();

  std::map<std::string, uint64_t> counts() const EXCLUDES(mutex_);
  void tell(std::function<void(int64_t in_ms)> on_set) EXCLUDES(mutex_);

 private:
  Result<int64_t> count() EXCLUDES(mutex_);
  Status follow_clock_back();
  Result<bool> has(const std::string& plugin, const std::string& name);
  Status forget(const std::string& plugin, const std::string& name);
  Status insert(const std::string& plugin, const TimerWrite& timer);

  const int64_t opened_wall_ms_ = wall_ms();
  const int64_t opened_boot_ms_ = boot_ms();
  Database* database_ = nullptr;
  Statement has_, insert_, forget_, remove_;
  int64_t seq_ = 0;                         // the last one given; never given again while this process lives
  std::map<std::string, int64_t> changes_;  // of the counts, by the open transaction
  std::optional<int64_t> earliest_;         // when the first one that it has set is due

  mutable Mutex mutex_;
  std::map<std::string, uint64_t> counts_ GUARDED_BY(mutex_);
  std::function<void(int64_t in_ms)> on_set_ GUARDED_BY(mutex_);
};

}  // namespace postern::store::sqlite
