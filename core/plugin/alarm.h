// Alarm: one thread that waits for the nearest of many moments and rings. It begins with the first of them.
// Thread-safety: any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <thread>
#include <utility>

#include "core/base/mutex.h"

namespace postern::plugin {

class Alarm {
 public:
  using Ring = std::function<void()>;     // on the alarm's thread, once: must not wait
  using Id = std::pair<int64_t, uint64_t>;  // when, and a number

  Alarm() = default;
  ~Alarm();
  Alarm(const Alarm&) = delete;
  Alarm& operator=(const Alarm&) = delete;

  // `at_ms`: steady.
  Id set(int64_t at_ms, Ring ring) EXCLUDES(mutex_);
  // It may be ringing just now, or have rung.
  void remove(Id id) EXCLUDES(mutex_);

 private:
  void run() EXCLUDES(mutex_);

  Mutex mutex_;
  CondVar changed_;
  std::map<Id, Ring> rings_ GUARDED_BY(mutex_);
  uint64_t last_ GUARDED_BY(mutex_) = 0;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::thread thread_ GUARDED_BY(mutex_);
};

}  // namespace postern::plugin
