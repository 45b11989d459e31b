// Breaker: stops work for a target that fails every time, and tries again with one piece of it at a time.
//
//   CLOSED --failures in a row--> OPEN --open_for--> HALF_OPEN --success--> CLOSED
//                                   ^------------------ failure --'
// Thread-safety: one thread at a time (its user's lock).
#pragma once

#include <cstdint>

namespace postern {

class Breaker {
 public:
  enum class State { kClosed, kOpen, kHalfOpen };

  // Opens after `failures` in a row, for `open_for_ms` milliseconds.
  Breaker(uint32_t failures, int64_t open_for_ms) : max_failures_(failures), open_for_ms_(open_for_ms) {}

  // From now on by another policy. How it stands stays.
  void change(uint32_t failures, int64_t open_for_ms) {
    max_failures_ = failures;
    open_for_ms_ = open_for_ms;
  }

  // Whether one may start now (steady milliseconds). In HALF_OPEN only one at a time may.
  bool allows(int64_t now_ms) const {
    return state_ == State::kClosed || (now_ms >= open_until_ms_ && !trial_running_);
  }
  // One starts. True when it is the trial: its end must be told with that. What started before the breaker opened ends later,
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
    if (state_ == State::kClosed && failures_ < max_failures_) return;
    if (state_ == State::kClosed) ++opens_;
    state_ = State::kOpen;
    open_until_ms_ = now_ms + open_for_ms_;
    trial_running_ = false;
  }
  // It told nothing about the target: what was asked of it was bad, or was given up.
  void on_neither(bool trial) {
    if (trial) trial_running_ = false;
  }

  State state() const { return state_; }
  uint32_t failures() const { return failures_; }  // in a row
  // How often it went from CLOSED to OPEN; a trial that fails does not count again.
  uint64_t opens() const { return opens_; }
  // When an open breaker lets the next trial through; 0 where nothing has to be waited for.
  int64_t opens_again_at_ms() const { return state_ == State::kClosed || trial_running_ ? 0 : open_until_ms_; }

 private:
  uint32_t max_failures_;
  int64_t open_for_ms_;
  State state_ = State::kClosed;
  uint32_t failures_ = 0;
  uint64_t opens_ = 0;
  int64_t open_until_ms_ = 0;
  bool trial_running_ = false;
};

constexpr const char* to_text(Breaker::State state) {
  switch (state) {
    case Breaker::State::kClosed: return "closed";
    case Breaker::State::kOpen: return "open";
    case Breaker::State::kHalfOpen: return "half_open";
  }
  return "closed";
}

}  // namespace postern
