#include "core/dispatch/timer_runner.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/thread_name.h"

namespace postern::dispatch {
namespace {

constexpr size_t kAtOnce = 200;        // read
constexpr ptrdiff_t kStep = 32;        // named to the committer
constexpr int64_t kPauseMs = 2;        // between two steps, for senders
constexpr int64_t kTryAgainMs = 1000;  // after the store could not read or write, or has no room
constexpr int64_t kLongestMs = 10'000;
constexpr int64_t kLateMs = 1000;
constexpr int64_t kClockWasSetMs = 60'000;

int64_t clock_offset_ms() { return wall_ms() - boot_ms(); }

}  // namespace

TimerRunner::TimerRunner(store::Timers& timers, const store::Store& store, std::shared_ptr<const Roster> roster)
    : timers_(timers), store_(store), clock_offset_ms_(clock_offset_ms()), roster_(std::move(roster)) {
  timers_.tell_of_timers([this](int64_t in_ms) { on_set(in_ms); });
}

TimerRunner::~TimerRunner() {
  stop();
  timers_.tell_of_timers(nullptr);
}

void TimerRunner::start() {
  thread_ = std::thread([this] { run(); });
}

void TimerRunner::adopt(std::shared_ptr<const Roster> roster) {
  MutexLock lock(mutex_);
  roster_.swap(roster);  // the one before ends after the lock
  nudged_at_ms_ = 0;     // some may be due that had no plugin
  changed_.notify_all();
}

std::shared_ptr<const Roster> TimerRunner::roster() {
  MutexLock lock(mutex_);
  return roster_;
}

void TimerRunner::stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
}

void TimerRunner::on_set(int64_t in_ms) {
  int64_t at = steady_ms() + in_ms;
  MutexLock lock(mutex_);
  if (at >= nudged_at_ms_) return;
  nudged_at_ms_ = at;
  changed_.notify_all();
}

bool TimerRunner::sleep_until(int64_t at_ms) {
  MutexLock lock(mutex_);
  for (int64_t now = steady_ms(); !stopping_; now = steady_ms()) {
    int64_t until = std::min(at_ms, nudged_at_ms_);
    if (now >= until) break;
    changed_.wait_for(mutex_, std::chrono::milliseconds(until - now));
  }
  nudged_at_ms_ = INT64_MAX;  // the look that follows finds what it was for, and whoever is next
  return !stopping_;
}

void TimerRunner::run() {
  name_thread("timers");
  for (int64_t next = 0; sleep_until(next);) {
    watch_clock();
    next = steady_ms() + fire_due();
  }
}

int64_t TimerRunner::fire_due() {
  if (!store_.accepting()) return kTryAgainMs;
  std::shared_ptr<const Roster> roster = this->roster();
  auto due = timers_.due_timers(roster->plugins, kAtOnce);
  if (!due) {
    log::error("timers cannot be read; trying again", {{"error", due.status().message()}});
    return kTryAgainMs;
  }
  if (due->timers.empty()) return std::min(due->next_in_ms.value_or(kLongestMs), kLongestMs);
  return fire(std::move(due->timers), *roster);
}

int64_t TimerRunner::fire(std::vector<store::DueTimer> due, const Roster& roster) {
  for (auto next = due.begin(); next != due.end();) {
    std::vector<store::Firing> firing;
    auto last = next + std::min(kStep, due.end() - next);
    for (auto timer = next; timer != last; ++timer) firing.push_back(event_of(*timer, roster));
    auto fired = timers_.fire(std::move(firing));
    if (!fired) {
      if (fired.status().code() != Code::kUnavailable) {
        log::error("timers cannot fire now; trying again", {{"error", fired.status().message()}});
      }
      return kTryAgainMs;
    }
    auto end = next + static_cast<ptrdiff_t>(fired->handled);
    auto late = std::count_if(next, end, [](const store::DueTimer& timer) { return timer.late_ms > kLateMs; });
    fired_.fetch_add(fired->events, std::memory_order_relaxed);
    late_.fetch_add(static_cast<uint64_t>(late), std::memory_order_relaxed);
    next = end;
    if (!sleep_until(steady_ms() + kPauseMs)) break;
  }
  return 0;
}

// A copy: what has no time in one batch is named again.
store::Firing TimerRunner::event_of(const store::DueTimer& timer, const Roster& roster) {
  store::Firing firing;
  firing.timer = timer.seq;
  ingest::NewEvent& event = firing.event;
  event.provider = timer.plugin;
  event.type = timer.type;
  event.external_id = timer.name;
  event.order_key = timer.order_key;
  event.received_at = wall_ms();
  event.body = timer.body;
  event.depth = timer.depth;
  event.targets = roster.targets.match(event);
  return firing;
}

// Timers do not mind, but people who know by the clock when one is due would wonder.
void TimerRunner::watch_clock() {
  int64_t offset = clock_offset_ms(), by = offset - clock_offset_ms_;
  if (std::abs(by) < kClockWasSetMs) return;
  clock_offset_ms_ = offset;
  log::warn("the system's clock was set; durable timers go on by the time that passes, and by the new clock after a restart",
            {{"seconds", by / 1000}});
}

}  // namespace postern::dispatch
