#include "core/store/sqlite/committer.h"

#include <algorithm>
#include <utility>

#include "core/base/broken.h"
#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/base/thread_name.h"

namespace postern::store::sqlite {
namespace {

constexpr size_t kEventsPerBatch = 4096;
constexpr size_t kSettlementsPerBatch = 1024;
// Neither kind starves the other. Senders wait for the batch and settlements can, so these get a share of each batch, and go on
// beyond it only as long as no event, of this batch or the next one, has waited for long.
constexpr size_t kEventsPerSettlement = 10;
constexpr size_t kSettleAtLeast = 4;
constexpr int64_t kEventMayWaitUs = 100;
constexpr int64_t kSettleForUs = 10'000;
constexpr int64_t kTaskForUs = 2'000;        // with no event in the batch; a task does a little in any case
constexpr int64_t kTaskBesideUs = 500;
constexpr int64_t kGatherForUs = 500;
constexpr std::chrono::milliseconds kNextEventsWithin(5);
// Of records that are not in their table yet, moved in slices.
constexpr size_t kMergeSlice = 64;
constexpr size_t kFewEvents = 32;  // a batch whose senders can do with a little more time
constexpr int64_t kMergeBesideUs = 1'000;
constexpr int64_t kMergeForUs = 10'000;
constexpr std::chrono::milliseconds kIdleAfter(20);
constexpr std::chrono::milliseconds kTryAgainAfter(1000);  // when the last batch failed
[[maybe_unused]] constexpr std::chrono::milliseconds kBrokenFor(5);

uint64_t size_of(const ingest::NewEvent& event) { return event.body.size() + event.headers.size() + event.target.size() + 256; }

}  // namespace

void Committer::start(DeliveryObserver& deliveries, SettleObserver& settlements, Store::OnFatal on_fatal) {
  delivery_observer_ = &deliveries;
  settle_observer_ = &settlements;
  on_fatal_ = std::move(on_fatal);
  thread_ = std::thread([this] { run(); });
}

void Committer::stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    work_.notify_all();
  }
  if (thread_.joinable()) thread_.join();
  writer_.wait_for_sync();
  if (failed_) {
    writer_.leave_log();
  } else if (Status s = writer_.keep_marks(); !s) {
    log::warn("the numbers of events go on with a gap after the next start", {{"error", s.message()}});
  }
  std::deque<std::unique_ptr<Task>> never_run;  // where the committer was not started
  {
    MutexLock lock(mutex_);
    never_run.swap(tasks_);
  }
  for (auto& task : never_run) task->end({Code::kUnavailable, "the store is stopping"});
}

void Committer::submit(std::unique_ptr<ingest::PendingEvent> event) {
  waiting_bytes_.fetch_add(size_of(event->event), std::memory_order_relaxed);
  MutexLock lock(mutex_);
  if (events_.empty()) {
    waiting_since_us_.store(steady_us(), std::memory_order_relaxed);
    work_.notify_one();
  }
  events_.push_back(std::move(event));
  if (events_.size() == wanted_events_) work_.notify_one();
}

void Committer::submit(std::unique_ptr<Settlement> settlement) {
  MutexLock lock(mutex_);
  if (settlements_.empty()) work_.notify_one();
  settlements_.push_back(std::move(settlement));
}

void Committer::submit(std::unique_ptr<Task> task) {
  {
    MutexLock lock(mutex_);
    if (!stopping_) {
      tasks_.push_back(std::move(task));
      work_.notify_one();
      return;
    }
  }
  task->end({Code::kUnavailable, "the store is stopping"});
}

Status Committer::accepting() const {
  if (failed_.load(std::memory_order_relaxed)) return {Code::kUnavailable, "the store has failed"};
  if (writer_.open_count() >= max_backlog_.load(std::memory_order_relaxed)) return {Code::kLimit, "the backlog is full"};
  if (waiting_bytes_.load(std::memory_order_relaxed) >= limits_.max_waiting_bytes) return {Code::kLimit, "too much waits for the disk"};
  return Status::ok();
}

Counters Committer::counters() const {
  return {stored_.load(), duplicates_.load(), batches_.load(), settled_.load(), writer_.open_count(), writer_.dead_count()};
}

Status Committer::condition() const {
  if (Status s = accepting(); !s) return s;
  MutexLock lock(mutex_);
  return last_batch_;
}

void Committer::run() {
  name_thread("committer");
  for (Work work; take(work); work = {}) commit(std::move(work));
}

// Every transaction has its price, whatever is in it. So one does not begin with the first of many events that are about to come: it
// waits a moment for a good part of what usually comes together.
void Committer::gather() {
  if (events_.empty()) return;
  wanted_events_ = static_cast<size_t>(usual_events_ / 2);
  int64_t until = steady_us() + kGatherForUs;
  for (int64_t left = kGatherForUs; events_.size() < wanted_events_ && left > 0 && !stopping_; left = until - steady_us()) {
    work_.wait_for(mutex_, std::chrono::microseconds(left));
  }
  wanted_events_ = 0;
  usual_events_ += (static_cast<double>(std::min(events_.size(), kEventsPerBatch)) - usual_events_) / 8;
}

// False when all is written and the committer is to end.
bool Committer::take(Work& work) {
  MutexLock lock(mutex_);
  bool idle = false;
  while (events_.empty() && settlements_.empty() && tasks_.empty()) {
    bool merge = writer_.has_records_to_merge() && !failed_;
    // What cannot be merged at the end, on a full disk, is safe in the log of records.
    if (stopping_ && !(merge && last_batch_)) return false;
    if (merge && (stopping_ || idle)) break;
    if (merge) {
      work_.wait_for(mutex_, last_batch_ ? kIdleAfter : kTryAgainAfter);
      idle = true;
    } else {
      work_.wait(mutex_);
    }
  }
  // Senders that were just answered soon send again, and a batch of settlements alone would make them all wait for its fsync.
  if (events_.empty() && had_events_ && !stopping_) work_.wait_for(mutex_, kNextEventsWithin);
  gather();
  had_events_ = !events_.empty();
  if (events_.size() <= kEventsPerBatch) {
    work.events.swap(events_);
    waiting_since_us_.store(0, std::memory_order_relaxed);
  } else {
    auto end = events_.begin() + kEventsPerBatch;
    work.events.assign(std::make_move_iterator(events_.begin()), std::make_move_iterator(end));
    events_.erase(events_.begin(), end);
  }
  auto last = settlements_.begin() + static_cast<ptrdiff_t>(std::min(settlements_.size(), kSettlementsPerBatch));
  work.settlements.assign(std::make_move_iterator(settlements_.begin()), std::make_move_iterator(last));
  settlements_.erase(settlements_.begin(), last);
  if (!tasks_.empty()) {
    work.task = std::move(tasks_.front());
    tasks_.pop_front();
  }
  return true;
}

// Keeps how it went, and what had no time in it for the next one.
void Committer::after_batch(const Status& status, Settlements settlements) {
  MutexLock lock(mutex_);
  last_batch_ = status;
  settlements_.insert(settlements_.begin(), std::make_move_iterator(settlements.begin()), std::make_move_iterator(settlements.end()));
}

void Committer::commit(Work work) {
  Written written{std::move(work), {}, 0, steady_us()};
  for (const auto& event : written.work.events) written.bytes += size_of(event->event);
  Settlements left;
  Status status = failed_ ? Status(Code::kUnavailable, "the store has failed") : write(written.work, left, written.batch);
  if (!status && !failed_) {
    writer_.rollback();
    if (status.code() == Code::kIo || status.code() == Code::kCorrupt) fail(status);
  }
  after_batch(status, std::move(left));
  end(std::move(written), status);
  if (failed_) return;
  if (Status checkpoint = writer_.checkpoint_if_due(); !checkpoint) fail(checkpoint);
}

// Where more waits already, that is written while this batch is synced. Batches end one after the other.
void Committer::end(Written written, const Status& status) {
  if (!status) {
    writer_.wait_for_sync();
    return tell(std::move(written), status);
  }
  bool more_waits;
  {
    MutexLock lock(mutex_);
    more_waits = !events_.empty();
  }
  // A std::function must be copyable: the batch travels in a shared box.
  writer_.make_durable(more_waits, [this, box = std::make_shared<Written>(std::move(written))](const Status& synced) {
    if (!synced) fail(synced);
    // After a failed sync nobody knows what a later one has brought to the disk.
    tell(std::move(*box), synced && failed_ ? Status(Code::kUnavailable, "the store has failed") : synced);
  });
}

void Committer::tell(Written written, const Status& status) {
  auto& [events, settlements, task] = written.work;
  waiting_bytes_.fetch_sub(written.bytes, std::memory_order_relaxed);
  measure(events.size(), written.began_us, status);
  publish(std::move(events), std::move(settlements), std::move(written.batch), status);
  if (task) task->end(status);  // last: it may be waited for by whoever tells the dispatcher more
}

void Committer::measure(size_t events, int64_t began_us, const Status& status) {
  constexpr double kUsPerSecond = 1e6;
  meter_.commit_seconds.observe(static_cast<double>(steady_us() - began_us) / kUsPerSecond);
  if (events > 0) meter_.batch_events.observe(static_cast<double>(events));
  if (!status) meter_.failed_batches.add();
}

// One transaction. Settlements that have no time in this batch go to `left`, in their order.
Status Committer::write(Work& work, Settlements& left, Writer::Batch& batch) {
  auto& [events, settlements, task] = work;
  int64_t started = steady_us();
  if (Status s = writer_.begin(delivery_observer_->wants_events()); !s) return s;
  for (auto& event : events) {
    if (Status s = writer_.write(*event, batch); !s) return s;
  }
  if (Status s = writer_.flush(batch); !s) return s;
  size_t share = std::max(kSettleAtLeast, (events.size() + kEventsPerSettlement - 1) / kEventsPerSettlement);
  int64_t until = started + (events.empty() ? kSettleForUs : kEventMayWaitUs);
  size_t done = 0;
  for (; done < settlements.size() && (done < share || has_time_until(until)); ++done) {
    if (Status s = writer_.write(*settlements[done], batch); !s) return s;
  }
  left.assign(std::make_move_iterator(settlements.begin() + static_cast<ptrdiff_t>(done)), std::make_move_iterator(settlements.end()));
  settlements.resize(done);
  if (Status s = run_task(work, batch); !s) return s;
  if (Status s = merge_records(events); !s) return s;
  if constexpr (broken::kEarlyAck) {
    publish_events(std::exchange(events, {}), Status::ok());
    std::this_thread::sleep_for(kBrokenFor);  // so that a few kills are enough to hit it
  }
  return writer_.commit(batch);
}

Status Committer::run_task(Work& work, Writer::Batch& batch) {
  if (!work.task) return Status::ok();
  int64_t until = steady_us() + (work.events.empty() ? kTaskForUs : kTaskBesideUs);
  return work.task->run(writer_, batch, [this, until] { return has_time_until(until); });
}

// Records go to their table while nobody waits for the batch, and otherwise only as far as memory asks for it.
Status Committer::merge_records(const Events& events) {
  if (!writer_.has_records_to_merge()) return Status::ok();
  if (size_t needed = writer_.records_to_merge(); needed > 0) {
    if (Status s = writer_.merge_records(needed); !s) return s;
  }
  bool under_load;
  {
    MutexLock lock(mutex_);
    under_load = had_events_ && usual_events_ >= kFewEvents;  // where few come by chance, many wait for the next batch
  }
  int64_t until = steady_us() + (events.empty() ? kMergeForUs : kMergeBesideUs);
  while (events.size() < kFewEvents && !under_load && writer_.has_records_to_merge() && has_time_until(until)) {
    if (Status s = writer_.merge_records(kMergeSlice); !s) return s;
  }
  return Status::ok();
}

bool Committer::has_time_until(int64_t until_us) const {
  int64_t now = steady_us(), since = waiting_since_us_.load(std::memory_order_relaxed);
  return now < until_us && (since == 0 || now - since < kEventMayWaitUs);
}

void Committer::publish(Events events, Settlements settlements, Writer::Batch batch, const Status& status) {
  batches_.fetch_add(1, std::memory_order_relaxed);
  if (status) {
    stored_.fetch_add(batch.stored, std::memory_order_relaxed);
    duplicates_.fetch_add(batch.duplicates, std::memory_order_relaxed);
    settled_.fetch_add(batch.settled, std::memory_order_relaxed);
  } else {
    if (uint64_t more = 0; failures_.pass(more)) {
      log::error("a batch was not committed; its senders are told to try again", {{"error", status.message()}, {"suppressed", more}});
    }
    for (auto& settlement : settlements) settlement->status = status;
  }
  publish_events(std::move(events), status);
  if (!settlements.empty()) settle_observer_->on_settled(std::move(settlements));
  if (status && !batch.deliveries.empty()) delivery_observer_->on_deliveries(std::move(batch.deliveries));
}

void Committer::publish_events(Events events, const Status& status) {
  std::vector<std::pair<ingest::CommitObserver*, Events>> groups;  // as many as there are loops
  for (auto& event : events) {
    if (!status) {
      event->outcome = ingest::Outcome::kFailed;
      event->status = status;
    }
    auto group = std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return g.first == event->observer; });
    Events& of_observer = group != groups.end() ? group->second : groups.emplace_back(event->observer, Events()).second;
    of_observer.push_back(std::move(event));
  }
  for (auto& [observer, group] : groups) observer->on_committed(std::move(group));
}

void Committer::fail(const Status& status) {
  if (failed_.exchange(true)) return;
  log::error(
      "the store has failed: nothing is acknowledged any more; check the disk, end other programs that have the store open, and start "
      "again: what was acknowledged is safe",
      {{"error", status.message()}});
  on_fatal_(status);
}

}  // namespace postern::store::sqlite
