// LogSyncer: makes what is written to the log certain to be on the disk, on a thread of its own: the next transaction is written meanwhile,
// and the disk is as busy as the processor. One sync at a time.
// Thread-safety: for one owner. What a job writes is seen by the owner after wait().
#pragma once

#include <functional>
#include <thread>

#include "core/base/mutex.h"

namespace postern::store::sqlite {

class LogSyncer {
 public:
  using Job = std::function<void()>;  // syncs, and tells whom it concerns; may be the last one to hold them
  ~LogSyncer() { stop(); }

  void start() EXCLUDES(mutex_);
  // Ends after the job at hand.
  void stop() EXCLUDES(mutex_);
  // Waits for the job before. Needs start().
  void run(Job job) EXCLUDES(mutex_);
  // Until no job is left.
  void wait() EXCLUDES(mutex_);

 private:
  void loop() EXCLUDES(mutex_);

  std::thread thread_;
  Mutex mutex_;
  CondVar changed_;
  Job job_ GUARDED_BY(mutex_);
  bool busy_ GUARDED_BY(mutex_) = false;  // a job waits or runs
  bool stopping_ GUARDED_BY(mutex_) = false;
};

}  // namespace postern::store::sqlite
