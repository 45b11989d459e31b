#include "core/plugin/alarm.h"

#include <algorithm>
#include <chrono>

#include "core/base/clock.h"
#include "core/base/thread_name.h"

namespace postern::plugin {

Alarm::~Alarm() {
  std::thread thread;
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
    thread.swap(thread_);
  }
  if (thread.joinable()) thread.join();
}

Alarm::Id Alarm::set(int64_t at_ms, Ring ring) {
  MutexLock lock(mutex_);
  Id id{at_ms, ++last_};
  rings_.emplace(id, std::move(ring));
  if (!stopping_ && !thread_.joinable()) thread_ = std::thread([this] { run(); });
  if (rings_.begin()->first == id) changed_.notify_all();
  return id;
}

void Alarm::remove(Id id) {
  Ring removed;  // ends after the lock
  MutexLock lock(mutex_);
  auto found = rings_.find(id);
  if (found == rings_.end()) return;
  removed = std::move(found->second);
  rings_.erase(found);
}

void Alarm::run() {
  name_thread("alarm");
  constexpr std::chrono::milliseconds kLongest(60'000);
  while (true) {
    Ring ring;
    {
      MutexLock lock(mutex_);
      if (stopping_) return;
      auto first = rings_.begin();
      int64_t now = steady_ms();
      if (first == rings_.end()) {
        changed_.wait(mutex_);
      } else if (first->first.first > now) {
        changed_.wait_for(mutex_, std::min(kLongest, std::chrono::milliseconds(first->first.first - now)));
      } else {
        ring = std::move(first->second);
        rings_.erase(first);
      }
    }
    if (ring) ring();
  }
}

}  // namespace postern::plugin
