// Notices: what the gateway finds out about itself and somebody should hear of, as events of the provider "postern" for whoever subscribes:
//
//   postern.breaker.opened      a handler or an upstream fails every time, and is left alone for a while
//   postern.backlog.high        more deliveries wait than health.max_waiting, for a minute by now
//   postern.plugin.quarantined  a plugin has crashed too often, and is not called
//
// The fourth, postern.delivery.dead, commits with the death that it tells of: core/dispatch/death. Each is told once: a breaker when it opens
// and not at each trial that fails, a backlog again only after it had fallen to half.
// Thread-safety: look() one thread at a time; the other any.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/plugin/quarantine.h"

namespace postern::gateway {

class Notices {
 public:
  static constexpr int64_t kLookEveryMs = 5'000;
  static constexpr int64_t kLastingMs = 60'000;  // a backlog that is gone by then was a burst

  // `id`: two with the same are one; "" is never the same.
  using Publish = std::function<void(std::string_view type, std::string body_json, std::string id)>;

  struct Breaker {
    std::string plugin;
    const char* of;    // "subscriber" or "upstream"
    std::string name;  // of that
    uint64_t opens = 0;  // so far
    uint32_t failures = 0;  // in a row
    int64_t next_trial_at = 0;  // Unix milliseconds; 0: none is waited for
    std::string last_error;
  };
  struct Sight {
    std::vector<Breaker> breakers;
    uint64_t waiting = 0, max_waiting = 0;  // deliveries
  };

  explicit Notices(Publish publish) : publish_(std::move(publish)) {}

  // Every kLookEveryMs; `now_ms`: steady.
  void look(const Sight& sight, int64_t now_ms);
  // When a configuration comes to work. A quarantine that was told of before is not told of again, over restarts too.
  void tell_of_quarantine(const plugin::Standing& standing) const;

 private:
  void look_at(const Breaker& breaker);
  void look_at_backlog(uint64_t waiting, uint64_t max_waiting, int64_t now_ms);

  const Publish publish_;
  std::map<std::string, uint64_t> opens_;  // by breaker, as last seen
  int64_t high_since_ms_ = 0;              // 0: it is not
  bool told_of_backlog_ = false;
};

}  // namespace postern::gateway
