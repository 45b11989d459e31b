// Lane: what has become of one upstream's requests: its bounds, its breaker and its counts. After a reload, while requests of the
// configuration before are still out, the upstream has two lanes with rules of their own; what has become of it they have in common.
// Thread-safety: any thread.
#pragma once

#include <memory>

#include "core/base/status.h"
#include "core/client/upstream.h"

namespace postern::client {

class Lane {
 public:
  // `before`: one of the same upstream, or null.
  explicit Lane(Upstream upstream, const Lane* before = nullptr);

  const Upstream& upstream() const { return upstream_; }
  bool continues(const Lane& other) const { return past_ == other.past_; }

  // A request is taken on; kLimit when too many are. Each one that is must be given to on_end().
  Status admit();
  // One that was not taken on.
  void on_turned_away(Outcome::Kind kind, const std::string& why);
  void on_end(Outcome::Kind kind);

  bool has_room() const;  // for one more in flight
  struct Start {
    bool allowed = false;
    bool trial = false;   // on_attempt() must be told
    int64_t wait_ms = 0;  // not allowed: when trying again makes sense
  };
  // An attempt goes out, unless the breaker forbids it. One that is allowed must be given to on_attempt(), with how long it took in
  // microseconds.
  Start start(bool retry);
  // `tells`: how it ended says something about the upstream.
  void on_attempt(const Outcome& outcome, bool trial, bool tells, int64_t duration_us);

  UpstreamStatus status() const;

 private:
  struct Past;

  const Upstream upstream_;
  const std::shared_ptr<Past> past_;
};

}  // namespace postern::client
