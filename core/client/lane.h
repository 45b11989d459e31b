// Lane: what has become of one upstream's requests: its bounds, its breaker and its counts.
// Thread-safety: any thread.
#pragma once

#include "core/base/breaker.h"
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
  // An attempt goes out, unless the breaker forbids it. One that is allowed must be given to on_attempt().
  Start start(bool retry) EXCLUDES(mutex_);
  // `tells`: how it ended says something about the upstream.
  void on_attempt(const Outcome& outcome, bool trial, bool tells) EXCLUDES(mutex_);

  UpstreamStatus status() const EXCLUDES(mutex_);

 private:
  const Upstream upstream_;
  mutable Mutex mutex_;
  Breaker breaker_ GUARDED_BY(mutex_);
  UpstreamStatus counts_ GUARDED_BY(mutex_);
  size_t taken_on_ GUARDED_BY(mutex_) = 0;  // and not ended yet
};

}  // namespace postern::client
