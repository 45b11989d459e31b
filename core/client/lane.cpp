#include "core/client/lane.h"

#include <utility>

#include "core/base/breaker.h"
#include "core/base/clock.h"
#include "core/base/counters.h"
#include "core/base/log.h"
#include "core/base/mutex.h"

namespace postern::client {
namespace {

constexpr int64_t kAfterTrialMs = 1000;  // while a trial is out, nobody knows better

enum class Says { kWell, kIll, kNothing };

// What an attempt says about the upstream's health. Being told to slow down, or an answer that is too long, says nothing.
Says says(const Outcome& outcome) {
  using Kind = Outcome::Kind;
  switch (outcome.kind) {
    case Kind::kOk:
    case Kind::kRejected: return Says::kWell;
    case Kind::kConnect:
    case Kind::kTimeout:
    case Kind::kBroken: return Says::kIll;
    case Kind::kFailed: return outcome.status >= 500 ? Says::kIll : Says::kNothing;
    default: return Says::kNothing;
  }
}

}  // namespace

// Shared by the lanes of one upstream.
struct Lane::Past {
  static constexpr double kSeconds[] = {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30};

  const std::shared_ptr<Histogram> attempt_seconds = std::make_shared<Histogram>(kSeconds);
  Mutex mutex;
  Breaker breaker GUARDED_BY(mutex){1, 0};
  UpstreamStatus counts GUARDED_BY(mutex);
  size_t taken_on GUARDED_BY(mutex) = 0;  // and not ended yet
};

Lane::Lane(Upstream upstream, const Lane* before)
    : upstream_(std::move(upstream)), past_(before == nullptr ? std::make_shared<Past>() : before->past_) {
  MutexLock lock(past_->mutex);
  past_->counts.plugin = upstream_.plugin;
  past_->counts.name = upstream_.name;
  past_->counts.attempt_seconds = past_->attempt_seconds;
}

Status Lane::admit() {
  Past& past = *past_;
  MutexLock lock(past.mutex);
  if (past.taken_on >= size_t{upstream_.max_in_flight} + upstream_.max_waiting) {
    return {Code::kLimit,
            "the upstream '" + upstream_.name + "' has " + std::to_string(past.taken_on) + " requests already; try again later"};
  }
  ++past.taken_on;
  ++past.counts.requests;
  return Status::ok();
}

void Lane::on_turned_away(Outcome::Kind kind, const std::string& why) {
  Past& past = *past_;
  MutexLock lock(past.mutex);
  ++past.counts.ended[static_cast<size_t>(kind)];
  past.counts.last_error = why;
  past.counts.last_error_at = wall_ms();
}

void Lane::on_end(Outcome::Kind kind) {
  Past& past = *past_;
  MutexLock lock(past.mutex);
  --past.taken_on;
  ++past.counts.ended[static_cast<size_t>(kind)];
}

bool Lane::has_room() const {
  Past& past = *past_;
  MutexLock lock(past.mutex);
  return past.counts.in_flight < upstream_.max_in_flight;
}

Lane::Start Lane::start(bool retry) {
  Past& past = *past_;
  MutexLock lock(past.mutex);
  int64_t now = steady_ms();
  if (!upstream_.any_host && !past.breaker.allows(now)) {
    int64_t at = past.breaker.opens_again_at_ms();
    return {false, false, at == 0 ? kAfterTrialMs : at - now};
  }
  ++past.counts.in_flight;
  ++past.counts.attempts;
  if (retry) ++past.counts.retries;
  return {true, !upstream_.any_host && past.breaker.on_start(), 0};
}

void Lane::on_attempt(const Outcome& outcome, bool trial, bool tells, int64_t duration_us) {
  bool given_up = outcome.kind == Outcome::Kind::kCancelled;  // by us: no error of the upstream
  constexpr double kUsPerSecond = 1e6;
  if (!given_up) past_->attempt_seconds->observe(static_cast<double>(duration_us) / kUsPerSecond);
  bool was_closed, is_closed;
  Past& past = *past_;
  {
    MutexLock lock(past.mutex);
    --past.counts.in_flight;
    if (!outcome.error.empty() && !given_up) {
      past.counts.last_error = outcome.error;
      past.counts.last_error_at = wall_ms();
    }
    if (upstream_.any_host) return;
    was_closed = past.breaker.state() == Breaker::State::kClosed;
    past.breaker.change(upstream_.breaker_failures, upstream_.breaker_open_ms);  // the other lane may have other rules
    switch (tells ? says(outcome) : Says::kNothing) {
      case Says::kWell: past.breaker.on_success(trial); break;
      case Says::kIll: past.breaker.on_failure(trial, steady_ms()); break;
      case Says::kNothing: past.breaker.on_neither(trial); break;
    }
    is_closed = past.breaker.state() == Breaker::State::kClosed;
  }
  if (was_closed && !is_closed) {
    log::warn("an upstream fails every time; it is left alone for a while", {{"plugin", upstream_.plugin}, {"upstream", upstream_.name},
              {"open_for_ms", upstream_.breaker_open_ms}, {"error", outcome.error}});
  } else if (!was_closed && is_closed) {
    log::info("an upstream answers again", {{"plugin", upstream_.plugin}, {"upstream", upstream_.name}});
  }
}

UpstreamStatus Lane::status() const {
  Past& past = *past_;
  MutexLock lock(past.mutex);
  UpstreamStatus status = past.counts;
  status.breaker = to_text(past.breaker.state());
  status.opens = past.breaker.opens();
  int64_t again_at = past.breaker.opens_again_at_ms();
  status.next_trial_at = again_at == 0 ? 0 : wall_ms() + again_at - steady_ms();
  status.failures = past.breaker.failures();
  status.waiting = past.taken_on - past.counts.in_flight;
  return status;
}

}  // namespace postern::client
