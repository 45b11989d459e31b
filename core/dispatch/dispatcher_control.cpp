// The dispatcher's control thread: it fills the scheduler up from the store, ends what is past its deadline, and hands outcomes to
// the store again that it could not take.
#include <algorithm>

#include "core/base/broken.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/dispatch/dispatcher.h"

namespace postern::dispatch {
namespace {

constexpr int64_t kTryAgainMs = 1000;  // after the store could not read
constexpr int64_t kLongestPauseMs = 10'000;

}  // namespace

void Dispatcher::control() {
  while (true) {
    look_at_store();
    load_page();
    expire_due();
    resubmit_due();
    Settlements finished;  // freed after the lock
    MutexLock lock(mutex_);
    if (stopping_) return;
    read_inbox(finished);
    int64_t now = steady_ms();  // one for all: what is not due for the first must not be past for the last
    help(now);
    // A retry is due, or a breaker lets one through.
    if (!paused_ && scheduler_.can_run(now)) inbox_.ring_one();
    std::chrono::milliseconds limit = pause(now);
    control_wakes_at_ = steady_ms() + limit.count();
    if (limit.count() > 0) changed_.wait_for(mutex_, limit);
  }
}

std::chrono::milliseconds Dispatcher::pause(int64_t now) {
  int64_t at = now + kLongestPauseMs;
  if (!deadlines_.empty()) at = std::min(at, deadlines_.begin()->first);
  if (!resubmit_.empty()) at = std::min(at, resubmit_at_ms_);
  if (help_at_ms_ != 0) at = std::min(at, help_at_ms_);
  // What is due already waits for a worker, and workers look for themselves.
  if (auto wake = scheduler_.wake_at_ms(); wake && *wake > now) at = std::min(at, *wake);
  if (!orphans_ || scheduler_.wanted_page()) at = std::min(at, load_at_ms_);
  if (!inbox_.empty()) at = now;
  return std::chrono::milliseconds(std::max<int64_t>(0, at - now));
}

// Something has to be looked at by then.
void Dispatcher::nudge_at(int64_t at_ms) {
  if (at_ms >= control_wakes_at_) return;
  control_wakes_at_ = at_ms;
  changed_.notify_all();
}

// Once with each roster: where the open deliveries of each subscriber begin, and those that nobody takes any more: none come meanwhile.
void Dispatcher::look_at_store() {
  {
    MutexLock lock(mutex_);
    if (orphans_ || stopping_ || steady_ms() < load_at_ms_) return;
  }
  auto summary = store_.sum_up_open_deliveries();
  MutexLock lock(mutex_);
  if (!summary) return cannot_load(summary.status());
  scheduler_.begin(*summary);
  uint64_t orphans = 0;
  for (const store::OpenCount& of : summary->counts) orphans += scheduler_.has_subscriber(of.plugin, of.subscriber) ? 0 : of.deliveries;
  orphans_ = orphans;
}

// One at a time: deadlines wait meanwhile.
void Dispatcher::load_page() {
  std::optional<Scheduler::Wanted> wanted;
  store::OpenQuery query;
  {
    MutexLock lock(mutex_);
    if (stopping_ || steady_ms() < load_at_ms_ || !(wanted = scheduler_.wanted_page())) return;
    query.event_bytes = scheduler_.room_for_events();
    query.plugin = scheduler_.subscriber(wanted->subscriber)->plugin;
    query.subscriber = scheduler_.subscriber(wanted->subscriber)->name;
  }
  query.after = wanted->after;
  query.limit = wanted->limit;
  auto page = store_.open_deliveries(query);
  MutexLock lock(mutex_);
  if (!page) return cannot_load(page.status());
  scheduler_.load(*wanted, std::move(*page), steady_ms(), wall_ms());
  inbox_.ring_all();
}

void Dispatcher::cannot_load(const postern::Status& why) {
  log::error("open deliveries cannot be read; trying again", {{"error", why.message()}});
  load_at_ms_ = steady_ms() + kTryAgainMs;
}

void Dispatcher::expire_due() {
  std::vector<std::shared_ptr<Delivery>> late;
  {
    MutexLock lock(mutex_);
    int64_t now = steady_ms();
    for (; !deadlines_.empty() && deadlines_.begin()->first <= now; deadlines_.erase(deadlines_.begin())) {
      auto run = out_.find(deadlines_.begin()->second);
      std::shared_ptr<Delivery> delivery = run->second.delivery;
      if (!delivery->expire()) continue;  // it has just ended; settle() is on its way
      if (run->second.worker) {  // its thread is still inside
        run->second.worker->abandoned = true;
        run->second.worker->entry = run->second.entry;
        scheduler_.on_stuck(run->second.entry);
        end_trial(run->second.entry);
        run->second.entry.suspect = false;
        ++abandoned_;
        ++stuck_threads_;
        --live_workers_;
        if (!stopping_ && !broken::kKeepHungThreads) spawn_worker();
      }
      late.push_back(std::move(delivery));
    }
  }
  for (const auto& delivery : late) {
    log::Scope scope(delivery->idempotency_key(), delivery->subscriber().plugin);
    log::warn("a handler did not end before its deadline");
    settle(delivery, {HandlerOutcome::kRetry, "the handler did not end before its deadline"}, "timeout");
  }
}

void Dispatcher::resubmit_due() {
  std::vector<std::unique_ptr<store::Settlement>> again;
  {
    MutexLock lock(mutex_);
    if (resubmit_.empty() || resubmit_at_ms_ > steady_ms()) return;
    again.swap(resubmit_);
  }
  for (auto& settlement : again) {
    settlement->status = postern::Status::ok();
    store_.submit_settlement(std::move(settlement));
  }
}

}  // namespace postern::dispatch
