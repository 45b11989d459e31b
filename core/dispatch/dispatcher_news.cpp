// What the store says to the dispatcher, what becomes of it, and what the dispatcher tells of that.
#include <algorithm>
#include <utility>

#include "core/base/clock.h"
#include "core/dispatch/delays.h"
#include "core/dispatch/dispatcher.h"

namespace postern::dispatch {
namespace {

constexpr int64_t kTryAgainMs = 1000;  // after the store could not write

// Two handlers on one record get through in a few runs. One that always expects a wrong version must not keep the machine busy.
int64_t conflict_delay_ms(uint32_t conflicts) {
  constexpr uint32_t kFree = 10, kMaxDoublings = 5;
  return conflicts < kFree ? 0 : 1 << std::min(conflicts - kFree, kMaxDoublings);
}

}  // namespace

void Dispatcher::on_deliveries(std::vector<store::OpenDelivery> deliveries) { announce({{}, std::move(deliveries), {}}); }

void Dispatcher::on_settled(std::vector<std::unique_ptr<store::Settlement>> settlements) { announce({std::move(settlements), {}, {}}); }

// Behind what the store said before: when a delivery is queued again, that it was settled is in the inbox already.
void Dispatcher::requeue(std::vector<store::OpenDelivery> deliveries) { announce({{}, {}, std::move(deliveries)}); }

size_t Dispatcher::room(const std::string& plugin, const std::string& subscriber) {
  Settlements finished;
  MutexLock lock(mutex_);
  read_inbox(finished);
  return scheduler_.room_for_replays(plugin, subscriber);
}

bool Dispatcher::has_subscriber(const std::string& plugin, const std::string& name) {
  MutexLock lock(mutex_);
  return scheduler_.has_subscriber(plugin, name);
}

void Dispatcher::announce(Inbox::News news) {
  if (inbox_.put(std::move(news))) return;
  MutexLock lock(mutex_);
  nudge_at(0);
}

// In the order in which the store said it. What is over goes to `finished`, for the caller to free without the lock.
void Dispatcher::read_inbox(Settlements& finished) {
  std::vector<Inbox::News> unread = inbox_.take();
  if (unread.empty()) return;
  int64_t now = steady_ms(), wall = wall_ms();
  for (Inbox::News& news : unread) {
    for (auto& settlement : news.settled) {
      on_settled_one(settlement);
      if (settlement) finished.push_back(std::move(settlement));
    }
    for (store::OpenDelivery& delivery : news.deliveries) scheduler_.add(std::move(delivery), now, wall);
    for (store::OpenDelivery& delivery : news.replayed) scheduler_.requeue(std::move(delivery), now, wall);
  }
  if (paused_ && settling_ <= kGoOnBelow) {
    paused_ = false;
    inbox_.ring_after_settled(0);
    inbox_.ring_one();  // whoever reads this may be no worker
  }
  wants_events_.store(scheduler_.keeps_events(), std::memory_order_relaxed);
  if (scheduler_.wanted_page()) nudge_at(0);
}

void Dispatcher::on_settled_one(std::unique_ptr<store::Settlement>& settlement) {
  auto& settled = static_cast<Settling&>(*settlement);  // nobody else submits settlements
  int64_t now = steady_ms();
  if (settled.status.code() == Code::kConflict) {
    --settling_;
    int64_t at = now + conflict_delay_ms(++settled.entry.conflicts);
    scheduler_.retry(std::move(settled.entry), at);
    return nudge_at(at);
  }
  if (!settled.status && settled.status.code() != Code::kGone) {
    bool refused = settled.status.code() == Code::kLimit && settled.refusable;
    if (refused) fail_refused(settled);
    resubmit_.push_back(std::move(settlement));
    resubmit_at_ms_ = refused ? now : now + kTryAgainMs;
    return nudge_at(resubmit_at_ms_);
  }
  --settling_;
  if (settled.status) account(settled);
  bool postponed = settled.kind == store::Settlement::Kind::kPostpone;
  if (settled.status && (postponed || settled.kind == store::Settlement::Kind::kRetry)) {
    settled.entry.attempts = settled.attempts;
    settled.entry.conflicts = 0;
    settled.entry.postponed = postponed ? settled.entry.postponed + 1 : 0;
    // The wall clock may have been set meanwhile; the policy bounds what that can do.
    int64_t longest = longest_delay_ms(settled.entry.to->policies.retry);
    int64_t at = now + std::clamp<int64_t>(settled.due_at - wall_ms(), 0, longest);
    scheduler_.retry(std::move(settled.entry), at);
    return nudge_at(at);
  }
  tell(settled);
  scheduler_.release(settled.entry, now);
}

// The handler has done its part, but wants more kept than its plugin may: a failed attempt, without its effects.
void Dispatcher::fail_refused(Settling& settled) {
  std::shared_ptr<Delivery> delivery = std::move(settled.refusable);
  settled.records.clear();
  settled.emitted.clear();
  settled.timers.clear();
  settled.result_json.clear();
  decide(settled, {HandlerOutcome::kRetry, settled.status.message()}, *delivery, *roster_);
}

void Dispatcher::account(const Settling& settled) {
  meter_.settled(settled.type, settled.kind, settled.duration_us);
  SubscriberStatus& status = accounts_[settled.entry.subscriber];
  switch (settled.kind) {
    case store::Settlement::Kind::kDone: ++status.done; return;
    case store::Settlement::Kind::kRetry: ++status.retried; break;
    case store::Settlement::Kind::kPostpone: ++status.postponed; break;
    case store::Settlement::Kind::kDead: ++status.dead; break;
  }
  status.last_error = settled.detail;
}

void Dispatcher::tell(const Settling& settled) {
  if (!settled.own) return;
  auto awaited = awaited_.find(settled.event);
  if (awaited == awaited_.end()) return;
  bool done = settled.status && settled.kind == store::Settlement::Kind::kDone;
  awaited->second(done ? std::optional(settled.result_json) : std::nullopt);
  awaited_.erase(awaited);
}

void Dispatcher::await(int64_t event_seq, OnSettled on_settled) {
  MutexLock lock(mutex_);
  awaited_[event_seq] = std::move(on_settled);
}

void Dispatcher::forget(int64_t event_seq) {
  MutexLock lock(mutex_);
  awaited_.erase(event_seq);
}

Dispatcher::Status Dispatcher::status() {
  Settlements finished;
  MutexLock lock(mutex_);
  read_inbox(finished);
  int64_t steady = steady_ms(), wall = wall_ms();
  Status status{out_.size(), scheduler_.loaded(), orphans_.value_or(0), abandoned_, {}};
  for (size_t i = 0; i < accounts_.size(); ++i) {
    if (!scheduler_.subscriber(i)) continue;
    SubscriberStatus& of = status.subscribers.emplace_back(accounts_[i]);
    of.plugin = scheduler_.subscriber(i)->plugin;
    of.name = scheduler_.subscriber(i)->name;
    of.breaker = to_text(scheduler_.breaker(i).state());
    int64_t again_at = scheduler_.breaker(i).opens_again_at_ms();
    of.next_trial_at = again_at == 0 ? 0 : wall + again_at - steady;
    of.breaker_opens = scheduler_.breaker(i).opens();
    of.failures = scheduler_.breaker(i).failures();
  }
  return status;
}

}  // namespace postern::dispatch
