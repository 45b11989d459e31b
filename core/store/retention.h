// Retention: the thread that removes old events, oldest first, whose deliveries are all settled: by age, and when the store is larger than
// it may be. In small steps, each a part of one batch, with pauses for the senders. What that leaves free inside the file is used again;
// when it is more than a quarter of what is used, it is given back to the file system.
//
// What is kept in any case: events with an open delivery; those with a dead one, which is a debt to a person, until their own age
// has passed; those whose deduplication key is in `event` alone.
// Thread-safety: start() and stop() from the control thread; the others from any.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

#include "core/base/mutex.h"
#include "core/store/upkeep.h"

namespace postern::store {

class Retention {
 public:
  struct Policy {
    std::chrono::milliseconds age{0};   // 0: events are not removed by age
    std::chrono::milliseconds dead{0};  // of deliveries since they died; 0: never removed
    uint64_t size = 0;                  // bytes used by the store; 0: any
    std::chrono::milliseconds look_every{std::chrono::minutes(1)};
  };

  Retention(Upkeep& upkeep, Policy policy) : upkeep_(upkeep), policy_(policy) {}
  ~Retention() { stop(); }

  void start();
  void stop() EXCLUDES(mutex_);
  void adopt(Policy policy) EXCLUDES(mutex_);
  Policy policy() const EXCLUDES(mutex_);
  uint64_t removed() const { return removed_.load(std::memory_order_relaxed); }  // events since the start

  // The same for whoever removes by hand, now.
  static Cutoff cutoff(const Policy& policy, int64_t now_ms);

 private:
  void run() EXCLUDES(mutex_);
  Status remove_old() EXCLUDES(mutex_);
  Status keep_size() EXCLUDES(mutex_);
  Status give_back() EXCLUDES(mutex_);
  // Steps through what may be removed until `enough`.
  template <typename Enough>
  Status remove(const Cutoff& cutoff, size_t at_once, Enough enough) EXCLUDES(mutex_);
  // False when it is to stop.
  bool pause(std::chrono::milliseconds time) EXCLUDES(mutex_);

  Upkeep& upkeep_;
  std::thread thread_;
  std::atomic<uint64_t> removed_{0};
  mutable Mutex mutex_;
  CondVar changed_;
  Policy policy_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
};

}  // namespace postern::store
