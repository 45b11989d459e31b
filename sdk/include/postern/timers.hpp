// postern/timers.hpp - something that shall happen later: durable timers, which become events, and timers in memory. Part of plugin.hpp.
//
//   setup.timer_type("orders.reminder");                                   // in init
//   setup.on("orders.reminder", &Orders::remind);
//   delivery.set_timer({.name = "order/17", .type = "orders.reminder", .body = json, .delay = std::chrono::hours(24)});
//   delivery.remove_timer("order/17");
//
//   timers_ = setup.timers();                                              // in init
//   uint64_t id = timers_.start(std::chrono::seconds(5), [this] { poll(); });
//
// Errors: a call that the host refuses throws Error. Threads: durable timers belong to a delivery; a Timers is a plain value for any
// thread, from activate on. Callbacks run on a thread that serves only this plugin's timers.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "request.hpp"

namespace postern::inline sdk {

// postern_timer_desc: see ext/timers.h.
struct Timer {
  std::string_view name = {};
  std::string_view type = {};       // one that Setup::timer_type() has declared
  std::string_view body = {};       // any bytes, at most 64 KiB
  std::string_view order_key = {};  // empty: the delivery's
  bool unordered = false;           // its event has no order key
  milliseconds delay = {};
};

namespace detail {

// The callbacks of timers in memory that have not begun. They are freed with the instance, when no timer fires any more.
// Thread-safety: any thread.
class TimerSlots {
 public:
  struct Slot {
    TimerSlots* slots = nullptr;
    uint64_t number = 0;  // ours
    uint64_t timer = 0;   // the host's, once it has said so
    std::function<void()> callback;
  };

  explicit TimerSlots(const HostTables& tables) : tables_(tables) {}
  const HostTables& tables() const { return tables_; }

  Slot& add(std::function<void()> callback) {
    std::lock_guard lock(mutex_);
    auto slot = std::make_unique<Slot>(Slot{this, ++last_, 0, std::move(callback)});
    return *slots_.emplace(last_, std::move(slot)).first->second;
  }
  std::unique_ptr<Slot> take(uint64_t number) {
    std::lock_guard lock(mutex_);
    auto found = slots_.find(number);
    if (found == slots_.end()) return nullptr;
    std::unique_ptr<Slot> slot = std::move(found->second);
    slots_.erase(found);
    return slot;
  }
  // The slot may be gone by now.
  void set_timer(uint64_t number, uint64_t timer) {
    std::lock_guard lock(mutex_);
    if (auto found = slots_.find(number); found != slots_.end()) found->second->timer = timer;
  }
  // 0: there is none.
  uint64_t timer_of(uint64_t number) const {
    std::lock_guard lock(mutex_);
    auto found = slots_.find(number);
    return found == slots_.end() ? 0 : found->second->timer;
  }

 private:
  const HostTables& tables_;
  mutable std::mutex mutex_;
  uint64_t last_ = 0;
  std::unordered_map<uint64_t, std::unique_ptr<Slot>> slots_;
};

inline postern_status run_timer(postern_instance*, void* user) noexcept {
  auto& known = *static_cast<TimerSlots::Slot*>(user);
  const HostTables& tables = known.slots->tables();
  std::unique_ptr<TimerSlots::Slot> slot = known.slots->take(known.number);
  auto failed = [&](std::string_view why) {
    if (tables.api.set_error != nullptr) tables.api.set_error(tables.host, to_abi(why));
    return POSTERN_E_INTERNAL;
  };
  try {
    slot->callback();
    return POSTERN_OK;
  } catch (const std::exception& error) {
    return failed(error.what());
  } catch (...) {
    return failed("unknown exception");
  }
}

}  // namespace detail

// Timers in memory, lost with the process. Setup::timers() makes it.
class Timers {
 public:
  Timers() = default;
  explicit Timers(detail::TimerSlots& slots) : slots_(&slots) {}

  // Runs `callback` once, after `delay`; it may start the next one. An exception of it is logged. Gives a number for cancel().
  // Throws Gone when the plugin is being deactivated, Error when the host has no timers, or no room for one more.
  uint64_t start(milliseconds delay, std::function<void()> callback) const {
    const postern_ext_timers& timers = table();
    detail::TimerSlots::Slot& slot = slots_->add(std::move(callback));
    uint64_t number = slot.number;  // the slot may be gone as soon as the timer has been started
    uint64_t timer = 0;
    postern_status status = timers.start(slots_->tables().host, delay.count(), &detail::run_timer, &slot, &timer);
    if (status < 0) slots_->take(number);
    detail::check(status, "start of a timer");
    slots_->set_timer(number, timer);
    return number;
  }

  // True: its callback will not run. False: it has begun, or there is no such timer.
  bool cancel(uint64_t number) const {
    uint64_t timer = slots_ == nullptr ? 0 : slots_->timer_of(number);
    if (timer == 0 || table().cancel(slots_->tables().host, timer) != POSTERN_OK) return false;
    slots_->take(number);
    return true;
  }

 private:
  const postern_ext_timers& table() const {
    return detail::need(slots_ == nullptr ? nullptr : slots_->tables().timers, POSTERN_EXT_TIMERS);
  }

  detail::TimerSlots* slots_ = nullptr;  // the instance's
};

}  // namespace postern::inline sdk
