// A mutex that clang's thread-safety analysis understands: which lock guards which field is part of its type.
//   Mutex mutex_;
//   std::deque<Task> tasks_ GUARDED_BY(mutex_);
// The `asan` preset (clang-19) fails to compile an access without the lock; other compilers see nothing.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define POSTERN_TSA(x) __attribute__((x))
#else
#define POSTERN_TSA(x)
#endif
#define CAPABILITY(x) POSTERN_TSA(capability(x))
#define SCOPED_CAPABILITY POSTERN_TSA(scoped_lockable)
#define GUARDED_BY(x) POSTERN_TSA(guarded_by(x))
#define REQUIRES(...) POSTERN_TSA(requires_capability(__VA_ARGS__))
#define ACQUIRE(...) POSTERN_TSA(acquire_capability(__VA_ARGS__))
#define RELEASE(...) POSTERN_TSA(release_capability(__VA_ARGS__))
#define EXCLUDES(...) POSTERN_TSA(locks_excluded(__VA_ARGS__))
#define NO_THREAD_SAFETY_ANALYSIS POSTERN_TSA(no_thread_safety_analysis)

namespace postern {

class CAPABILITY("mutex") Mutex {
 public:
  void lock() ACQUIRE() { mutex_.lock(); }
  void unlock() RELEASE() { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class SCOPED_CAPABILITY MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) ACQUIRE(mutex) : mutex_(mutex) { mutex_.lock(); }
  ~MutexLock() RELEASE() { mutex_.unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// Waits give the mutex back while they wait; the caller holds it before and after. Wake-ups may be spurious.
class CondVar {
 public:
  void wait(Mutex& mutex) REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  void wait_for(Mutex& mutex, std::chrono::microseconds limit) REQUIRES(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait_for(lock, limit);  // on the steady clock
    lock.release();
  }
  void notify_one() { condition_.notify_one(); }
  void notify_all() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace postern
