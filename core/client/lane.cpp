#include "core/client/lane.h"

#include <utility>

#include "core/base/clock.h"
#include "core/base/log.h"

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

Lane::Lane(Upstream upstream)
    : upstream_(std::move(upstream)), breaker_(upstream_.breaker_failures, upstream_.breaker_open_ms) {
  counts_.plugin = upstream_.plugin;
  counts_.name = upstream_.name;
  counts_.attempt_seconds = attempt_seconds_;
}

Status Lane::admit() {
  MutexLock lock(mutex_);
  if (taken_on_ >= size_t{upstream_.max_in_flight} + upstream_.max_waiting) {
    return {Code::kLimit, "the upstream '" + upstream_.name + "' has " + std::to_string(taken_on_) + " requests already; try again later"};
  }
  ++taken_on_;
  ++counts_.requests;
  return Status::ok();
}

void Lane::on_turned_away(Outcome::Kind kind, const std::string& why) {
  MutexLock lock(mutex_);
  ++counts_.ended[static_cast<size_t>(kind)];
  counts_.last_error = why;
  counts_.last_error_at = wall_ms();
}

void Lane::on_end(Outcome::Kind kind) {
  MutexLock lock(mutex_);
  --taken_on_;
  ++counts_.ended[static_cast<size_t>(kind)];
}

bool Lane::has_room() const {
  MutexLock lock(mutex_);
  return counts_.in_flight < upstream_.max_in_flight;
}

Lane::Start Lane::start(bool retry) {
  MutexLock lock(mutex_);
  int64_t now = steady_ms();
  if (!upstream_.any_host && !breaker_.allows(now)) {
    int64_t at = breaker_.opens_again_at_ms();
    return {false, false, at == 0 ? kAfterTrialMs : at - now};
  }
  ++counts_.in_flight;
  ++counts_.attempts;
  if (retry) ++counts_.retries;
  return {true, !upstream_.any_host && breaker_.on_start(), 0};
}

void Lane::on_attempt(const Outcome& outcome, bool trial, bool tells, int64_t duration_us) {
  bool given_up = outcome.kind == Outcome::Kind::kCancelled;  // by us: no error of the upstream
  constexpr double kUsPerSecond = 1e6;
  if (!given_up) attempt_seconds_->observe(static_cast<double>(duration_us) / kUsPerSecond);
  bool was_closed, is_closed;
  {
    MutexLock lock(mutex_);
    --counts_.in_flight;
    if (!outcome.error.empty() && !given_up) {
      counts_.last_error = outcome.error;
      counts_.last_error_at = wall_ms();
    }
    if (upstream_.any_host) return;
    was_closed = breaker_.state() == Breaker::State::kClosed;
    switch (tells ? says(outcome) : Says::kNothing) {
      case Says::kWell: breaker_.on_success(trial); break;
      case Says::kIll: breaker_.on_failure(trial, steady_ms()); break;
      case Says::kNothing: breaker_.on_neither(trial); break;
    }
    is_closed = breaker_.state() == Breaker::State::kClosed;
  }
  if (was_closed && !is_closed) {
    log::warn("an upstream fails every time; it is left alone for a while", {{"plugin", upstream_.plugin}, {"upstream", upstream_.name},
              {"open_for_ms", upstream_.breaker_open_ms}, {"error", outcome.error}});
  } else if (!was_closed && is_closed) {
    log::info("an upstream answers again", {{"plugin", upstream_.plugin}, {"upstream", upstream_.name}});
  }
}

UpstreamStatus Lane::status() const {
  MutexLock lock(mutex_);
  UpstreamStatus status = counts_;
  status.breaker = to_text(breaker_.state());
  status.opens = breaker_.opens();
  int64_t again_at = breaker_.opens_again_at_ms();
  status.next_trial_at = again_at == 0 ? 0 : wall_ms() + again_at - steady_ms();
  status.failures = breaker_.failures();
  status.waiting = taken_on_ - counts_.in_flight;
  return status;
}

}  // namespace postern::client
