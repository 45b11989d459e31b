// Worker: one thread that runs tasks in their order, for what must not run on a loop. Thread-safety: run() from any thread.
#pragma once

#include <deque>
#include <functional>
#include <thread>
#include <utility>

#include "core/base/mutex.h"

namespace postern::admin {

class Worker {
 public:
  Worker() : thread_([this] { work(); }) {}
  ~Worker() { stop(); }

  // False when too much waits already.
  bool run(std::function<void()> task) EXCLUDES(mutex_) {
    constexpr size_t kMaxWaiting = 256;
    MutexLock lock(mutex_);
    if (tasks_.size() >= kMaxWaiting || stopping_) return false;
    tasks_.push_back(std::move(task));
    changed_.notify_one();
    return true;
  }

  void stop() EXCLUDES(mutex_) {
    {
      MutexLock lock(mutex_);
      stopping_ = true;
      changed_.notify_one();
    }
    if (thread_.joinable()) thread_.join();
  }

 private:
  void work() EXCLUDES(mutex_) {
    while (true) {
      std::function<void()> task;
      {
        MutexLock lock(mutex_);
        while (tasks_.empty() && !stopping_) changed_.wait(mutex_);
        if (tasks_.empty()) return;
        task = std::move(tasks_.front());
        tasks_.pop_front();
      }
      task();
    }
  }

  Mutex mutex_;
  CondVar changed_;
  std::deque<std::function<void()>> tasks_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace postern::admin
