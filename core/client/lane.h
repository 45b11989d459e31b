// Lane: what has become of one upstream's requests: its bounds, its breaker and its counts.
// Thread-safety: any thread.
#pragma once

#include <memory>

#include "core/base/breaker.h"
#include "core/base/counters.h"
#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/client/upstream.h"

namespace postern::client {

class Lane {
 public:
  explicit Lane(Upstream upstream);

  const Upstream& upstream() const { return upstream_; }

  // A request is taken on; kLimit when too many are. Each one that is must be given to on_end().
  Status admit() EXCLUDES(mutex_);
  // One that was not taken on.
  void on_turned_away(Outcome::Kind kind, const std::string& why) EXCLUDES(mutex_);
  void on_end(Outcome::Kind kind) EXCLUDES(mutex_);

  bool has_room() const EXCLUDES(mutex_);  // for one more in flight
  struct Start {
    bool allowed = false;
    bool trial = false;   // on_attempt() must be told
    int64_t wait_ms = 0;  // not allowed: when trying again makes sense
  };
  // An attempt goes out, unless the breaker forbids it. One that is allowed must be given to on_attempt(), with how long it took in
  // microseconds.
  Start start(bool retry) EXCLUDES(mutex_);
  // `tells`: how it ended says something about the upstream.
  void on_attempt(const Outcome& outcome, bool trial, bool tells, int64_t duration_us) EXCLUDES(mutex_);

  UpstreamStatus status() const EXCLUDES(mutex_);

 private:
  static constexpr double kSeconds[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30};

  const Upstream upstream_;
  const std::shared_ptr<Histogram> attempt_seconds_ = std::make_shared<Histogram>(kSeconds);
  mutable Mutex mutex_;
  Breaker breaker_ GUARDED_BY(mutex_);
  UpstreamStatus counts_ GUARDED_BY(mutex_);
  size_t taken_on_ GUARDED_BY(mutex_) = 0;  // and not ended yet
};

}  // namespace postern::client
