#include "core/net/timer_wheel.h"

#include <algorithm>

namespace postern::net {

void Timer::cancel() {
  if (!armed()) return;
  next_->previous_ = previous_;
  previous_->next_ = next_;
  next_ = previous_ = nullptr;
  if (count_ != nullptr) --*count_;
}

void Timer::insert_before(Timer& head) {
  next_ = &head;
  previous_ = head.previous_;
  previous_->next_ = this;
  head.previous_ = this;
}

TimerWheel::TimerWheel() {
  for (Timer& head : slots_) head.next_ = head.previous_ = &head;
}

void TimerWheel::arm(Timer& timer, int64_t at_ms) {
  timer.cancel();
  timer.at_ms_ = at_ms;
  timer.count_ = &count_;
  int64_t tick = std::max(at_ms / kTickMs + 1, tick_ + 1);
  timer.insert_before(slots_[slot_of(tick)]);
  ++count_;
}

void TimerWheel::advance(int64_t now_ms) {
  int64_t now_tick = now_ms / kTickMs;
  // After a long pause each slot is looked at once; that covers every timer.
  int64_t first = std::max(tick_ + 1, now_tick - static_cast<int64_t>(kSlots) + 1);
  for (int64_t tick = first; tick <= now_tick && count_ > 0; ++tick) {
    tick_ = tick;
    advance_slot(slots_[slot_of(tick)], now_ms);
  }
  tick_ = std::max(tick_, now_tick);
}

void TimerWheel::advance_slot(Timer& head, int64_t now_ms) {
  // The due ones move to a list of their own first: what they arm may land in this very slot.
  Timer due;
  due.next_ = due.previous_ = &due;
  for (Timer* timer = head.next_; timer != &head;) {
    Timer* next = timer->next_;
    if (timer->at_ms_ <= now_ms) {
      timer->cancel();
      timer->insert_before(due);
      ++count_;
    }
    timer = next;
  }
  while (due.next_ != &due) {
    Timer* timer = due.next_;
    timer->cancel();
    auto fire = timer->fire_;  // a copy: the function may destroy its timer
    fire();
  }
  due.next_ = due.previous_ = nullptr;
}

}  // namespace postern::net
