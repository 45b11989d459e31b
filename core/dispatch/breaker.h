// Breaker: stops handing deliveries to a target that fails every time, and tries again with one at a time.
//
//   CLOSED --failures in a row--> OPEN --open_for--> HALF_OPEN --success--> CLOSED
//                                   ^------------------ failure --'
// Thread-safety: one thread at a time (the scheduler's lock).
#pragma once

#include <cstdint>

#include "core/config/config.h"

namespace postern::dispatch {

class Breaker {
 public:
  enum class State { kClosed, kOpen, kHalfOpen };

  explicit Breaker(config::Breaker policy) : policy_(policy) {}

  // Whether a delivery may start now (steady milliseconds). In HALF_OPEN only one at a time may.
  bool allows(int64_t now_ms) const {
    return state_ == State::kClosed || (now_ms >= open_until_ms_ && !trial_running_);
  }
  // A delivery starts. True when it is the trial: its end must be told with that. What started before the breaker opened ends later,
  // and says nothing any more.
  bool on_start() {
    if (state_ == State::kClosed) return false;
    state_ = State::kHalfOpen;
    return trial_running_ = true;
  }
  void on_success(bool trial) {
    if (state_ != State::kClosed && !trial) return;
    state_ = State::kClosed;
    failures_ = 0;
    trial_running_ = false;
  }
  void on_failure(bool trial, int64_t now_ms) {
    if (state_ != State::kClosed && !trial) return;
    ++failures_;
    if (state_ == State::kClosed && failures_ < policy_.failures) return;
    state_ = State::kOpen;
    open_until_ms_ = now_ms + policy_.open_for.count();
    trial_running_ = false;
  }
  // It told nothing about the target: the delivery itself was bad.
  void on_neither(bool trial) {
    if (trial) trial_running_ = false;
  }

  State state() const { return state_; }
  uint32_t failures() const { return failures_; }
  // When an open breaker lets the next trial through; 0 where nothing has to be waited for.
  int64_t opens_again_at_ms() const { return state_ == State::kClosed || trial_running_ ? 0 : open_until_ms_; }

 private:
  config::Breaker policy_;
  State state_ = State::kClosed;
  uint32_t failures_ = 0;  // in a row
  int64_t open_until_ms_ = 0;
  bool trial_running_ = false;
};

}  // namespace postern::dispatch
