// Dispatcher: from durable deliveries to settled ones. Worker threads take what the scheduler gives, run the handler, and
// hand outcome and effects to the store; a control thread wakes what is due and ends what is past its deadline.
//
// A handler that outlives its deadline cannot be stopped, so it is abandoned: its delivery is settled without it, and a new thread
// takes its place.
// Thread-safety: start() and stop() from the control thread; the observers and the status from any thread.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/mutex.h"
#include "core/dispatch/critical_types.h"
#include "core/dispatch/delivery.h"
#include "core/dispatch/inbox.h"
#include "core/dispatch/meter.h"
#include "core/dispatch/replay_target.h"
#include "core/dispatch/roster.h"
#include "core/dispatch/scheduler.h"
#include "core/dispatch/subscriber.h"
#include "core/ingest/target_table.h"
#include "core/store/store.h"

namespace postern::dispatch {

class Dispatcher final : public store::DeliveryObserver, public store::SettleObserver, public ingest::ResultBoard,
                         public ReplayTarget {
 public:
  Dispatcher(std::shared_ptr<const Roster> roster, store::Store& store, uint32_t workers);
  ~Dispatcher() override;

  // Before start(), with the store at work: these run first, one at a time (see suspects.h). Those that are settled are left out. `watch`
  // outlives the dispatcher.
  postern::Status run_first(const std::vector<int64_t>& suspects, SuspectWatch& watch) EXCLUDES(mutex_);
  void start() EXCLUDES(mutex_);
  // From now on deliveries go to these subscribers. Whoever runs ends with the one it began with, whom its run holds.
  void adopt(std::shared_ptr<const Roster> roster) EXCLUDES(mutex_);
  // Starts nothing new and waits at most `drain_ms` for what runs; what is not settled then goes on at the next start. False when
  // threads are still inside handlers: neither this dispatcher nor the plugins may be destroyed then.
  bool stop(int64_t drain_ms) EXCLUDES(mutex_);

  bool wants_events() const override { return wants_events_.load(std::memory_order_relaxed); }
  void on_deliveries(std::vector<store::OpenDelivery> deliveries) override EXCLUDES(mutex_);
  void on_settled(std::vector<std::unique_ptr<store::Settlement>> settlements) override EXCLUDES(mutex_);
  void await(int64_t event_seq, OnSettled on_settled) override EXCLUDES(mutex_);
  void forget(int64_t event_seq) override EXCLUDES(mutex_);

  bool has_subscriber(const std::string& plugin, const std::string& name) override EXCLUDES(mutex_);
  size_t room(const std::string& plugin, const std::string& subscriber) override EXCLUDES(mutex_);
  void requeue(std::vector<store::OpenDelivery> deliveries) override EXCLUDES(mutex_);

  struct SubscriberStatus {
    std::string plugin, name, breaker;
    uint32_t failures = 0;  // in a row
    uint64_t done = 0, retried = 0, dead = 0;
    std::string last_error;
    uint64_t breaker_opens = 0;
    uint64_t postponed = 0;      // runs that cost no attempt
    int64_t next_trial_at = 0;  // Unix milliseconds; when an open breaker lets one through; 0: it is not open, or the trial runs
  };
  struct Status {
    size_t running = 0;    // at a handler, or pending
    size_t loaded = 0;     // known to the scheduler
    uint64_t orphans = 0;  // deliveries that wait for subscribers which the configuration no longer has, at the start
    uint64_t abandoned = 0;  // threads that a handler never gave back in time
    std::vector<SubscriberStatus> subscribers;
  };
  Status status() EXCLUDES(mutex_);
  const Meter& meter() const { return meter_; }

 private:
  // Outcomes that wait for the disk: workers pause at the first number, and go on below the second: to wake them for each outcome
  // costs more than their handlers do.
  static constexpr size_t kMaxSettling = 4096, kGoOnBelow = 3840;

  using Entry = Scheduler::Entry;
  using Settlements = std::vector<std::unique_ptr<store::Settlement>>;
  struct Worker {
    // Guarded by mutex_. Its handler outlived the deadline; the thread ends when it comes back.
    bool abandoned = false;
    Entry entry;  // what it ran
  };
  struct Run {  // a delivery that is out
    Entry entry;
    int64_t deadline_ms = 0;
    std::shared_ptr<Delivery> delivery;
    std::shared_ptr<Worker> worker;  // whose thread is in the handler; null once it has returned
  };
  struct Settling : store::Settlement {
    Entry entry;
    bool own = false;  // of the provider's own handlers: the result that a waiting route answers
    ingest::TypeTable::Id type = ingest::TypeTable::kOther;
    std::shared_ptr<Delivery> refusable;  // whose effects the store may have no room for
  };
  void work(const std::shared_ptr<Worker>& self) EXCLUDES(mutex_);
  std::optional<Entry> wait_for_next() EXCLUDES(mutex_);
  std::optional<Entry> next() REQUIRES(mutex_);
  void run(Entry entry, const std::shared_ptr<Worker>& worker) EXCLUDES(mutex_);
  Result<std::shared_ptr<const store::StoredEvent>> event_of(Entry& entry);
  void put_back(Entry entry, const std::string& why) EXCLUDES(mutex_);
  void bury(Entry entry, const std::string& why) EXCLUDES(mutex_);
  void settle(const std::shared_ptr<Delivery>& delivery, HandlerResult result, const char* outcome_name) EXCLUDES(mutex_);
  void decide(store::Settlement& settlement, HandlerResult result, Delivery& delivery, const Roster& roster);
  bool put_off(store::Settlement& settlement, const config::Retry& policy, Delivery& delivery) EXCLUDES(mutex_);
  void address(std::vector<ingest::NewEvent>& emitted, const Delivery& by, const Roster& roster) const;
  std::shared_ptr<const Roster> roster() EXCLUDES(mutex_);
  void begin_trial(const Entry& entry) EXCLUDES(mutex_);
  void end_trial(const Entry& entry) REQUIRES(mutex_);
  void feed_breaker(const Entry& entry, HandlerOutcome outcome) REQUIRES(mutex_);

  void control() EXCLUDES(mutex_);
  void look_at_store() EXCLUDES(mutex_);
  void load_page() EXCLUDES(mutex_);
  void cannot_load(const postern::Status& why) REQUIRES(mutex_);
  void expire_due() EXCLUDES(mutex_);
  void resubmit_due() EXCLUDES(mutex_);
  std::chrono::milliseconds pause(int64_t now) REQUIRES(mutex_);
  void nudge_at(int64_t at_ms) REQUIRES(mutex_);
  void spawn_worker() REQUIRES(mutex_);

  void call_for_help() REQUIRES(mutex_);
  void help(int64_t now) REQUIRES(mutex_);
  void announce(Inbox::News news) EXCLUDES(mutex_);
  void read_inbox(Settlements& finished) REQUIRES(mutex_);
  void on_settled_one(std::unique_ptr<store::Settlement>& settlement) REQUIRES(mutex_);
  void fail_refused(Settling& settled) REQUIRES(mutex_);
  void account(const Settling& settled) REQUIRES(mutex_);
  void tell(const Settling& settled) REQUIRES(mutex_);

  store::Store& store_;
  const uint32_t workers_;
  Meter meter_;

  Mutex mutex_;
  CondVar changed_;  // the control thread has something to look at; stop() too
  Inbox inbox_;      // its bell: a worker may find something
  bool paused_ GUARDED_BY(mutex_) = false;  // until enough outcomes are durable
  std::atomic<bool> wants_events_{true};
  uint64_t taken_ GUARDED_BY(mutex_) = 0;   // deliveries that workers took
  uint64_t taken_before_help_ GUARDED_BY(mutex_) = 0;
  int64_t help_at_ms_ GUARDED_BY(mutex_) = 0;  // 0: nobody has called for it
  std::shared_ptr<const Roster> roster_ GUARDED_BY(mutex_);
  Scheduler scheduler_ GUARDED_BY(mutex_);
  SuspectWatch* watch_ = nullptr;  // set before the first thread
  std::unordered_map<int64_t, Run> out_ GUARDED_BY(mutex_);
  size_t settling_ GUARDED_BY(mutex_) = 0;
  std::set<std::pair<int64_t, int64_t>> deadlines_ GUARDED_BY(mutex_);  // (when, delivery) of what is out
  std::vector<std::unique_ptr<store::Settlement>> resubmit_ GUARDED_BY(mutex_);
  int64_t resubmit_at_ms_ GUARDED_BY(mutex_) = 0;
  std::unordered_map<int64_t, OnSettled> awaited_ GUARDED_BY(mutex_);
  std::vector<SubscriberStatus> accounts_ GUARDED_BY(mutex_);  // by the scheduler's index
  uint64_t abandoned_ GUARDED_BY(mutex_) = 0;
  std::optional<uint64_t> orphans_ GUARDED_BY(mutex_);  // none: the store has not been looked at yet
  int64_t load_at_ms_ GUARDED_BY(mutex_) = 0;           // steady: not before
  size_t live_workers_ GUARDED_BY(mutex_) = 0;     // threads that have not ended, without the abandoned ones
  size_t stuck_threads_ GUARDED_BY(mutex_) = 0;    // the abandoned ones that have not ended
  int64_t control_wakes_at_ GUARDED_BY(mutex_) = 0;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::thread control_;
};

}  // namespace postern::dispatch
