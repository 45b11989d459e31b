#include "core/gateway/notices.h"

#include <nlohmann/json.hpp>

#include "core/base/clock.h"

namespace postern::gateway {
namespace {

using nlohmann::json;

// Errors come from outside and need not be UTF-8.
std::string to_text(const json& body) { return body.dump(-1, ' ', false, json::error_handler_t::replace); }

}  // namespace

void Notices::look(const Sight& sight, int64_t now_ms) {
  for (const Breaker& breaker : sight.breakers) look_at(breaker);
  look_at_backlog(sight.waiting, sight.max_waiting, now_ms);
}

void Notices::look_at(const Breaker& breaker) {
  uint64_t& seen = opens_[breaker.plugin + '\n' + breaker.of + '\n' + breaker.name];
  if (breaker.opens > seen) {
    json body = {{"plugin", breaker.plugin},
                 {breaker.of, breaker.name},
                 {"failures", breaker.failures},
                 {"last_error", breaker.last_error},
                 {"next_trial_at", breaker.next_trial_at},
                 {"seen_at", wall_ms()}};
    publish_("postern.breaker.opened", to_text(body), "");
  }
  seen = breaker.opens;  // after a reload it may begin anew
}

void Notices::look_at_backlog(uint64_t waiting, uint64_t max_waiting, int64_t now_ms) {
  if (waiting <= max_waiting) {
    high_since_ms_ = 0;
    if (waiting <= max_waiting / 2) told_of_backlog_ = false;
    return;
  }
  if (high_since_ms_ == 0) high_since_ms_ = now_ms;
  if (told_of_backlog_ || now_ms - high_since_ms_ < kLastingMs) return;
  told_of_backlog_ = true;
  json body = {{"waiting", waiting}, {"max_waiting", max_waiting}, {"for_ms", now_ms - high_since_ms_}, {"seen_at", wall_ms()}};
  publish_("postern.backlog.high", to_text(body), "");
}

void Notices::tell_of_quarantine(const plugin::Standing& standing) const {
  json body = {{"plugin", standing.plugin},
               {"build", standing.build},
               {"crashes", standing.crashes},
               {"last_crash", standing.last},
               {"last_crash_at", standing.last_at},
               {"held_until", standing.held_until}};
  publish_("postern.plugin.quarantined", to_text(body), "quarantine/" + standing.plugin + "/" + std::to_string(standing.last_at));
}

}  // namespace postern::gateway
