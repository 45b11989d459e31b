// TimerWheel: many coarse deadlines, each armed and cancelled in constant time. A connection re-arms its deadline several
// times a request, so a heap would be the hottest place of the loop. Timers fire up to one tick (64 ms) late, never early.
// Thread-safety: one thread (the loop's).
#pragma once

#include <array>
#include <cstdint>
#include <functional>

namespace postern::net {

// Belongs to its owner, who must outlive it in the wheel or let the destructor cancel it.
class Timer {
 public:
  Timer() = default;  // fires nothing; the wheel's list heads
  explicit Timer(std::function<void()> fire) : fire_(std::move(fire)) {}
  ~Timer() { cancel(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  bool armed() const { return next_ != nullptr; }
  void cancel();

 private:
  friend class TimerWheel;
  void insert_before(Timer& head);

  Timer* next_ = nullptr;
  Timer* previous_ = nullptr;
  int64_t at_ms_ = 0;
  size_t* count_ = nullptr;
  std::function<void()> fire_;
};

class TimerWheel {
 public:
  TimerWheel();

  // Fires once, when advance() is called at or after `at_ms` (steady milliseconds). An armed timer is moved.
  void arm(Timer& timer, int64_t at_ms);

  // Fires what is due. A timer's function may arm and cancel timers, and destroy its own.
  void advance(int64_t now_ms);

  bool empty() const { return count_ == 0; }
  static constexpr int64_t kTickMs = 64;

 private:
  static constexpr size_t kSlots = 512;
  static size_t slot_of(int64_t tick) { return static_cast<size_t>(tick) % kSlots; }
  void advance_slot(Timer& head, int64_t now_ms);

  std::array<Timer, kSlots> slots_;
  int64_t tick_ = 0;  // the last one that was looked at
  size_t count_ = 0;
};

}  // namespace postern::net
