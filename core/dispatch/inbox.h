// Inbox: what the store said and nobody has looked at yet, and the bell that workers sleep by. The committer only drops news here and
// goes on, since every sender waits for the committer: it never meets the lock under which deliveries are scheduled.
//
// Whoever may sleep reads rings() first, then looks whether there is something to do, then wait()s: what rang in between is not missed.
// Thread-safety: any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "core/store/store.h"

namespace postern::dispatch {

class Inbox {
 public:
  struct News {
    std::vector<std::unique_ptr<store::Settlement>> settled;
    std::vector<store::OpenDelivery> deliveries;
    std::vector<store::OpenDelivery> replayed;  // queued again after they were settled
  };

  // Rings for one worker. False: somebody else should read it, because all workers are busy, or because too much lies here unread.
  bool put(News news) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    settled_ += news.settled.size();
    news_.push_back(std::move(news));
    if (settled_ >= ring_after_) {
      ++rings_;
      bell_.notify_one();
    }
    return waiting_ > 0 && news_.size() < kMaxUnread;
  }

  // All there is, in the order in which the store said it.
  std::vector<News> take() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    settled_ = 0;
    return std::exchange(news_, {});
  }

  // News does not ring before it holds so many outcomes. 0: it rings at once.
  void ring_after_settled(size_t count) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    ring_after_ = count;
  }

  bool empty() const EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return news_.empty();
  }
  size_t waiting() const EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return waiting_;
  }
  uint64_t rings() const EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return rings_;
  }

  void ring_one() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    ++rings_;
    bell_.notify_one();
  }
  void ring_all() EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    ++rings_;
    bell_.notify_all();
  }
  // Until it rings, or has rung since rings() was `seen`.
  void wait(uint64_t seen) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    ++waiting_;
    if (rings_ == seen) bell_.wait(mutex_);
    --waiting_;
  }

 private:
  static constexpr size_t kMaxUnread = 256;

  mutable Mutex mutex_;
  CondVar bell_;
  std::vector<News> news_ GUARDED_BY(mutex_);
  size_t settled_ GUARDED_BY(mutex_) = 0;  // in news_
  size_t ring_after_ GUARDED_BY(mutex_) = 0;
  uint64_t rings_ GUARDED_BY(mutex_) = 0;
  size_t waiting_ GUARDED_BY(mutex_) = 0;
};

}  // namespace postern::dispatch
