#include "core/dispatch/dispatcher.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "core/base/backoff.h"
#include "core/base/broken.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/thread_name.h"
#include "core/dispatch/death.h"
#include "core/dispatch/delays.h"

namespace postern::dispatch {
namespace {

constexpr int64_t kMoreWorkersAfterMs = 2;
constexpr int kWorkerNiceness = 5;
constexpr int64_t kTryAgainMs = 1000;  // after the store could not read or write

}  // namespace

Dispatcher::Dispatcher(std::shared_ptr<const Roster> roster, store::Store& store, uint32_t workers)
    : store_(store), workers_(workers), meter_(ingest::TypeTable::kMaxTypes) {
  adopt(std::move(roster));
}

void Dispatcher::adopt(std::shared_ptr<const Roster> roster) {
  std::shared_ptr<const Roster> before;  // ends after the lock, and perhaps a plugin with it
  MutexLock lock(mutex_);
  scheduler_.adopt(roster);
  accounts_.resize(scheduler_.known());
  before = std::exchange(roster_, std::move(roster));
  orphans_.reset();  // to be looked for again
  changed_.notify_all();
}

std::shared_ptr<const Roster> Dispatcher::roster() {
  MutexLock lock(mutex_);
  return roster_;
}

Dispatcher::~Dispatcher() { stop(0); }

void Dispatcher::start() {
  MutexLock lock(mutex_);
  control_ = std::thread([this] {
    name_thread("dispatch");
    control();
  });
  for (uint32_t i = 0; i < workers_; ++i) spawn_worker();
}

bool Dispatcher::stop(int64_t drain_ms) {
  int64_t until = steady_ms() + drain_ms;
  bool all_ended;
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    inbox_.ring_all();
    changed_.notify_all();
    while (!(out_.empty() && live_workers_ == 0) && steady_ms() < until) {
      changed_.wait_for(mutex_, std::chrono::milliseconds(std::max<int64_t>(1, until - steady_ms())));
    }
    for (auto& [seq, run] : out_) run.delivery->expire();  // whoever completes one later is told that it is gone
    all_ended = live_workers_ == 0 && stuck_threads_ == 0;
  }
  if (control_.joinable()) control_.join();
  return all_ended;
}

// ---- workers

void Dispatcher::spawn_worker() {
  ++live_workers_;
  // Detached: a thread that a handler never gives back cannot be joined either; stop() counts instead.
  std::thread([this, self = std::make_shared<Worker>()] { work(self); }).detach();
}

void Dispatcher::work(const std::shared_ptr<Worker>& self) {
  name_thread("handler");
  // Where the processor is short, senders come first: they wait for the loop and the committer. What they sent is durable and can wait.
  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kWorkerNiceness);
  while (auto entry = wait_for_next()) {
    run(std::move(*entry), self);
    MutexLock lock(mutex_);
    if (!self->abandoned) continue;
    --stuck_threads_;
    scheduler_.on_unstuck(self->entry);
    inbox_.ring_all();
    changed_.notify_all();
    return;
  }
  MutexLock lock(mutex_);
  --live_workers_;
  changed_.notify_all();
}

std::optional<Dispatcher::Entry> Dispatcher::wait_for_next() {
  while (true) {
    uint64_t rings = inbox_.rings();
    Settlements finished;  // freed after the lock
    {
      MutexLock lock(mutex_);
      if (stopping_) return std::nullopt;
      read_inbox(finished);
      if (auto entry = next()) return entry;
    }
    finished.clear();
    inbox_.wait(rings);
  }
}

std::optional<Dispatcher::Entry> Dispatcher::next() {
  if (!paused_ && settling_ >= kMaxSettling) {
    paused_ = true;
    inbox_.ring_after_settled(settling_ - kGoOnBelow);
  }
  if (paused_) return std::nullopt;
  if (auto entry = scheduler_.next(steady_ms())) {
    ++taken_;
    call_for_help();
    return entry;
  }
  if (auto at = scheduler_.wake_at_ms()) nudge_at(*at);
  return std::nullopt;
}

// There is more to do than for this worker. Most handlers take microseconds, less than to wake a thread: so others come only if there
// is still more after a moment.
void Dispatcher::call_for_help() {
  int64_t now = steady_ms();
  if (help_at_ms_ != 0 || !scheduler_.can_run(now)) return;
  help_at_ms_ = now + kMoreWorkersAfterMs;
  taken_before_help_ = taken_;
  nudge_at(help_at_ms_);
}

// One more worker where handlers are quick; all of them when those at work have taken nothing since.
void Dispatcher::help(int64_t now) {
  if (help_at_ms_ == 0 || now < help_at_ms_) return;
  help_at_ms_ = 0;
  if (paused_ || !scheduler_.can_run(now)) return;
  taken_ == taken_before_help_ ? inbox_.ring_all() : inbox_.ring_one();
}

Result<std::shared_ptr<const store::StoredEvent>> Dispatcher::event_of(Entry& entry) {
  if (entry.event) return std::move(entry.event);
  return store_.event(entry.event_seq);
}

void Dispatcher::run(Entry entry, const std::shared_ptr<Worker>& worker) {
  auto event = event_of(entry);
  if (!event) {
    bool gone = event.status().code() == Code::kNotFound;
    return gone ? bury(std::move(entry), event.status().message()) : put_back(std::move(entry), event.status().message());
  }
  auto delivery = std::make_shared<Delivery>(
      entry.seq, entry.attempts + 1, std::move(*event), entry.facts, store_,
      [this](const std::shared_ptr<Delivery>& ended, HandlerResult result) {
        const char* name = result.outcome == HandlerOutcome::kDead ? "dead" : "retry";
        settle(ended, std::move(result), name);
      });
  const std::shared_ptr<const Subscriber> subscriber = entry.to;  // and with it the plugin, until the handler has returned
  begin_trial(entry);
  {
    MutexLock lock(mutex_);
    int64_t at = steady_ms() + subscriber->policies.deadline.count();
    int64_t seq = entry.seq;
    deadlines_.emplace(at, seq);
    nudge_at(at);
    out_[seq] = Run{std::move(entry), at, delivery, worker};
  }
  HandlerResult result;
  {
    log::Scope scope(delivery->idempotency_key(), subscriber->plugin);
    result = subscriber->handle(*delivery);
  }
  {
    MutexLock lock(mutex_);
    auto run = out_.find(delivery->seq());
    if (run != out_.end() && run->second.delivery == delivery) {
      run->second.worker.reset();
      end_trial(run->second.entry);
      run->second.entry.suspect = false;
    }
  }
  delivery->on_return(std::move(result));
}

// The store could not give the event. Costs no attempt: the target had no part in it.
void Dispatcher::put_back(Entry entry, const std::string& why) {
  log::error("a delivery's event cannot be read; trying again", {{"delivery", entry.seq}, {"error", why}});
  MutexLock lock(mutex_);
  end_trial(entry);
  scheduler_.on_neither(entry);
  int64_t at = steady_ms() + kTryAgainMs;
  scheduler_.retry(std::move(entry), at);
  nudge_at(at);
}

// Somebody removed the event under the delivery: no run can ever help.
void Dispatcher::bury(Entry entry, const std::string& why) {
  auto settling = std::make_unique<Settling>();
  settling->delivery = entry.seq;
  settling->event = entry.event_seq;
  settling->plugin = entry.to->plugin;
  settling->kind = store::Settlement::Kind::kDead;
  settling->attempts = entry.attempts + 1;
  settling->started_at = wall_ms();
  settling->outcome = "dead";
  settling->detail = why;
  {
    MutexLock lock(mutex_);
    end_trial(entry);
    scheduler_.on_neither(entry);
    settling->entry = std::move(entry);
    ++settling_;
  }
  store_.submit_settlement(std::move(settling));
}

void Dispatcher::settle(const std::shared_ptr<Delivery>& delivery, HandlerResult result, const char* outcome_name) {
  auto settling = std::make_unique<Settling>();
  const Subscriber& subscriber = delivery->subscriber();
  std::shared_ptr<const Roster> roster = this->roster();
  settling->delivery = delivery->seq();
  settling->event = delivery->event().seq;
  settling->plugin = subscriber.plugin;
  settling->own = delivery->event().provider == subscriber.plugin && subscriber.name == ingest::kOwnHandlers;
  settling->type = roster->targets.types().match(delivery->event().provider, delivery->event().type);
  settling->attempts = delivery->attempt();
  settling->started_at = delivery->started_at();
  settling->duration_us = steady_us() - delivery->started_us();
  settling->outcome = outcome_name;
  HandlerOutcome outcome = result.outcome;
  decide(*settling, std::move(result), *delivery, *roster);
  if (!settling->timers.empty()) settling->refusable = delivery;
  {
    MutexLock lock(mutex_);
    auto run = out_.find(delivery->seq());
    settling->entry = std::move(run->second.entry);
    feed_breaker(settling->entry, outcome);
    deadlines_.erase({run->second.deadline_ms, delivery->seq()});
    out_.erase(run);
    ++settling_;
    if (stopping_) changed_.notify_all();
  }
  store_.submit_settlement(std::move(settling));
}

// What becomes of the delivery. Effects count only with success.
void Dispatcher::decide(store::Settlement& settlement, HandlerResult result, Delivery& delivery, const Roster& roster) {
  using Kind = store::Settlement::Kind;
  if (broken::kForgetOutcomes && delivery.attempt() == 1 && result.outcome == HandlerOutcome::kDone) result.outcome = HandlerOutcome::kRetry;
  if (result.outcome == HandlerOutcome::kDone) {
    settlement.kind = Kind::kDone;
    delivery.take_effects(settlement);
    address(settlement.emitted, delivery, roster);
    return;
  }
  settlement.detail = result.why.empty() ? "the handler gave no reason" : std::move(result.why);
  const config::Retry& policy = delivery.subscriber().policies.retry;
  if (result.outcome == HandlerOutcome::kPostpone && put_off(settlement, policy, delivery)) return;
  if (result.outcome == HandlerOutcome::kDead || settlement.attempts >= policy.attempts) {
    settlement.kind = Kind::kDead;
    return tell_of_death(settlement, delivery.event(), delivery.subscriber().name, roster);
  }
  settlement.kind = Kind::kRetry;
  settlement.due_at = wall_ms() + retry_delay_ms(policy, settlement.attempts, delivery.wanted_delay_ms(), random_share());
}

// At no cost of attempts, unless it has been here for too long: a delivery that is put off for ever would hold its key, and nobody would
// hear of it.
bool Dispatcher::put_off(store::Settlement& settlement, const config::Retry& policy, Delivery& delivery) {
  uint32_t times;
  int64_t since = delivery.event().received_at;
  {
    MutexLock lock(mutex_);
    const Entry& entry = out_.find(delivery.seq())->second.entry;
    times = entry.postponed + 1;
    since = std::max(since, entry.replayed_at);
  }
  int64_t now = wall_ms();
  if (now - since >= policy.postpone_for.count()) {
    settlement.detail += "; it has been put off for as long as retry.postpone_for lets it, so this is an attempt";
    return false;
  }
  settlement.kind = store::Settlement::Kind::kPostpone;
  settlement.attempts = delivery.attempt() - 1;
  settlement.due_at = now + postpone_delay_ms(policy, times, delivery.wanted_delay_ms(), random_share());
  return true;
}

// An emitted event goes its own way from here: to whoever takes its type.
void Dispatcher::address(std::vector<ingest::NewEvent>& emitted, const Delivery& by, const Roster& roster) const {
  int64_t now = wall_ms();
  for (size_t i = 0; i < emitted.size(); ++i) {
    emitted[i].received_at = now;
    emitted[i].external_id = by.idempotency_key() + "/" + std::to_string(i);
    emitted[i].targets = roster.targets.match(emitted[i]);
  }
}

void Dispatcher::feed_breaker(const Entry& entry, HandlerOutcome outcome) {
  switch (outcome) {
    case HandlerOutcome::kDone: return scheduler_.on_success(entry);
    case HandlerOutcome::kRetry: return scheduler_.on_failure(entry, steady_ms());
    case HandlerOutcome::kDead:      // the event was bad, not the target
    case HandlerOutcome::kPostpone:  // what it needs is down, and has a breaker of its own
    case HandlerOutcome::kPending: return scheduler_.on_neither(entry);
  }
}

}  // namespace postern::dispatch
