// JobRunner: the thread that drives the store's jobs: replays, drops, removals. In turn, each by a small step that is durable before
// the next one, as fast as its rate allows and as the dispatcher has room. What a job has queued again goes to the dispatcher; at the
// start, what earlier lives have queued again and is still open.
// Thread-safety: start() and stop() from the control thread; nudge() from any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <thread>
#include <utility>

#include "core/base/mutex.h"
#include "core/dispatch/replay_target.h"
#include "core/store/upkeep.h"

namespace postern::dispatch {

class JobRunner {
 public:
  // Both outlive it.
  JobRunner(store::Upkeep& upkeep, ReplayTarget& target) : upkeep_(upkeep), target_(target) {}
  ~JobRunner() { stop(); }

  void start();
  // Ends after the step at hand; the jobs go on at the next start.
  void stop() EXCLUDES(mutex_);
  // There is a new job.
  void nudge() EXCLUDES(mutex_);

 private:
  struct Pace {
    int64_t next_ms = 0;    // steady: no step before
    int64_t counted_to = 0;  // while the total is counted
    uint64_t counted = 0;
  };

  void run() EXCLUDES(mutex_);
  bool bring_replayed() EXCLUDES(mutex_);
  int64_t work_on(const std::vector<store::Job>& jobs);
  // When it wants the next one: steady milliseconds.
  int64_t step(const store::Job& job, Pace& pace);
  Result<bool> count(const store::Job& job, Pace& pace);
  Result<store::Advance> next_of(const store::Job& job, size_t limit);
  Result<store::Advance> next_listed(const store::Job& job, size_t limit);
  Result<store::Advance> next_selected(const store::Job& job, size_t limit);
  using Rooms = std::map<std::pair<std::string, std::string>, size_t>;  // of subscribers, in a step
  bool add_item(const store::Job& job, int64_t seq, const std::string& plugin, const std::string& subscriber, Rooms& rooms,
                store::Advance& by);
  Result<store::Advance> next_prunable(const store::Job& job);
  int64_t take(const store::Job& job, const store::Advance& by, Pace& pace);
  int64_t put_off(const store::Job& job, const Status& why);
  // False when it is to stop.
  bool sleep_until(int64_t at_ms) EXCLUDES(mutex_);

  store::Upkeep& upkeep_;
  ReplayTarget& target_;
  std::map<int64_t, Pace> paces_;  // of the running jobs; the thread's own
  std::thread thread_;

  Mutex mutex_;
  CondVar changed_;
  bool stopping_ GUARDED_BY(mutex_) = false;
  bool nudged_ GUARDED_BY(mutex_) = false;
};

}  // namespace postern::dispatch
