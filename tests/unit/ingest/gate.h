// Gate: where a test holds threads that "hang", and sees them arrive. Thread-safety: any thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

namespace postern::ingest::testing {

class Gate {
 public:
  // For whoever hangs: until the gate is opened.
  void pass() {
    std::unique_lock lock(mutex_);
    ++arrived_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return open_; });
    ++passed_;
    changed_.notify_all();
  }
  void open() {
    std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void close() {
    std::lock_guard lock(mutex_);
    open_ = false;
  }
  // Whether so many have come (and gone through) in the end.
  bool wait_for_arrivals(int count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return arrived_ >= count; });
  }
  bool wait_for_passed(int count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return passed_ >= count; });
  }
  int arrived() {
    std::lock_guard lock(mutex_);
    return arrived_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int arrived_ = 0, passed_ = 0;
  bool open_ = false;
};

}  // namespace postern::ingest::testing
