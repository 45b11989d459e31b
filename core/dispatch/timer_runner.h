// TimerRunner: the thread that lets the durable timers fire: it waits for the next one that is due, and makes events of them, which go
// to whoever takes their type, as emitted ones do. What came due while the gateway was down fires at the start, the longest due first:
// in small steps, each a part of one batch, with pauses for the senders, and not while the backlog is full.
//
// Timers of plugins that the configuration does not have wait until it has them again.
// Thread-safety: start(), adopt() and stop() from the control thread; status() from any.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "core/base/mutex.h"
#include "core/dispatch/roster.h"
#include "core/store/store.h"

namespace postern::dispatch {

class TimerRunner {
 public:
  // Made before the store is started. Timers and store outlive it.
  TimerRunner(store::Timers& timers, const store::Store& store, std::shared_ptr<const Roster> roster);
  ~TimerRunner();

  void start();
  // From now on these are the plugins, and who takes their events.
  void adopt(std::shared_ptr<const Roster> roster) EXCLUDES(mutex_);
  // Ends after the step at hand; the rest fires at the next start.
  void stop() EXCLUDES(mutex_);

  struct Status {
    uint64_t fired = 0;  // since the start
    uint64_t late = 0;   // those of them that came more than a second after their time: after a stop, or with a full backlog
  };
  Status status() const { return {fired_.load(std::memory_order_relaxed), late_.load(std::memory_order_relaxed)}; }

 private:
  void run() EXCLUDES(mutex_);
  // Each gives the milliseconds until it wants to look again.
  int64_t fire_due() EXCLUDES(mutex_);
  int64_t fire(std::vector<store::DueTimer> due, const Roster& roster) EXCLUDES(mutex_);
  std::shared_ptr<const Roster> roster() EXCLUDES(mutex_);
  static store::Firing event_of(const store::DueTimer& timer, const Roster& roster);
  void watch_clock();
  void on_set(int64_t in_ms) EXCLUDES(mutex_);
  // Until then, or an earlier moment that on_set() tells of. False when it is to stop.
  bool sleep_until(int64_t at_ms) EXCLUDES(mutex_);

  store::Timers& timers_;
  const store::Store& store_;
  int64_t clock_offset_ms_;  // the wall clock's from the steady one, when last looked at; the thread's own
  std::thread thread_;
  std::atomic<uint64_t> fired_{0}, late_{0};

  Mutex mutex_;
  CondVar changed_;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::shared_ptr<const Roster> roster_ GUARDED_BY(mutex_);
  int64_t nudged_at_ms_ GUARDED_BY(mutex_) = INT64_MAX;  // steady: somebody is due then who was not there at the last look
};

}  // namespace postern::dispatch
