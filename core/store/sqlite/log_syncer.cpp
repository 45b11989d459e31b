#include "core/store/sqlite/log_syncer.h"

#include <utility>

#include "core/base/thread_name.h"

namespace postern::store::sqlite {

void LogSyncer::start() {
  MutexLock lock(mutex_);
  stopping_ = false;
  thread_ = std::thread([this] { loop(); });
}

void LogSyncer::stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void LogSyncer::run(Job job) {
  MutexLock lock(mutex_);
  while (busy_) changed_.wait(mutex_);
  job_ = std::move(job);
  busy_ = true;
  changed_.notify_all();
}

void LogSyncer::wait() {
  MutexLock lock(mutex_);
  while (busy_) changed_.wait(mutex_);
}

void LogSyncer::loop() {
  name_thread("log-sync");
  for (;;) {
    Job job;
    {
      MutexLock lock(mutex_);
      while (!job_ && !stopping_) changed_.wait(mutex_);
      if (!job_) return;
      job = std::exchange(job_, nullptr);
    }
    job();
    job = nullptr;
    MutexLock lock(mutex_);
    busy_ = false;
    changed_.notify_all();
  }
}

}  // namespace postern::store::sqlite
