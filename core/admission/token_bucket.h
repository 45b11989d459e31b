// TokenBucket: at most `rate` requests a second in the long run, with bursts of one second's worth (at least one).
// Thread-safety: any thread.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "core/base/mutex.h"

namespace postern::admission {

class TokenBucket {
 public:
  explicit TokenBucket(double rate) : rate_(rate), burst_(std::max(1.0, rate)), tokens_(burst_) {}

  double rate() const { return rate_; }
  // 0 when the request may pass, else the whole seconds after which to try again. `now_us`: steady microseconds.
  int64_t take(int64_t now_us) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    const int64_t seconds = wait(now_us);
    if (seconds == 0) tokens_ -= 1;
    return seconds;
  }
  // What take() would say, without taking.
  int64_t look(int64_t now_us) EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return wait(now_us);
  }

 private:
  int64_t wait(int64_t now_us) REQUIRES(mutex_) {
    if (last_us_ == 0) last_us_ = now_us;
    tokens_ = std::min(burst_, tokens_ + rate_ * static_cast<double>(now_us - last_us_) / 1e6);
    last_us_ = now_us;
    return tokens_ >= 1 ? 0 : std::max<int64_t>(1, static_cast<int64_t>(std::ceil((1 - tokens_) / rate_)));
  }

  const double rate_, burst_;
  Mutex mutex_;
  double tokens_ GUARDED_BY(mutex_);
  int64_t last_us_ GUARDED_BY(mutex_) = 0;
};

}  // namespace postern::admission
