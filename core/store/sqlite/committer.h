// Committer: the one thread that writes. It takes all that waits, writes one transaction, fsyncs once, then tells everybody:
// group commit. The fsync may be under way, on a thread of its own, while the next transaction is written. One write connection, because
// Debian's SQLite has a WAL bug when two connections write or checkpoint at once; so it also does the checkpoints, and sees when their
// fsync fails.
// Thread-safety: submit(), record() and counters() from any thread; open(), start(), stop() from the control thread.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/base/log.h"
#include "core/base/mutex.h"
#include "core/store/sqlite/writer.h"
#include "core/store/store.h"

namespace postern::store::sqlite {

// Something else to be written, a small part of one batch. Called on the committer's thread.
struct Task {
  using HasTime = std::function<bool()>;
  virtual ~Task() = default;
  // In the open transaction. While `has_time`, more may be done. A fault spoils the whole batch, so only the disk may cause one.
  virtual Status run(Writer& writer, Writer::Batch& batch, const HasTime& has_time) = 0;
  // Once: what run() did is durable, or nothing of it is. Must not wait.
  virtual void end(const Status& status) = 0;
};

class Committer {
 public:
  struct Limits {
    uint64_t max_backlog = 5'000'000;              // open deliveries; above, new events are turned away
    uint64_t max_waiting_bytes = 256 * 1024 * 1024;  // of events that wait for their commit
    RecordBuffer::Limits records;
  };

  explicit Committer(Limits limits) : limits_(limits), max_backlog_(limits.max_backlog), writer_(limits.records) {}
  ~Committer() { stop(); }

  Status open(const std::string& path) { return writer_.open(path); }
  void start(DeliveryObserver& deliveries, SettleObserver& settlements, Store::OnFatal on_fatal);
  void stop() EXCLUDES(mutex_);

  void submit(std::unique_ptr<ingest::PendingEvent> event) EXCLUDES(mutex_);
  void submit(std::unique_ptr<Settlement> settlement) EXCLUDES(mutex_);
  // After stop() it ends at once, with kUnavailable.
  void submit(std::unique_ptr<Task> task) EXCLUDES(mutex_);
  Status accepting() const;
  void set_max_backlog(uint64_t deliveries) { max_backlog_.store(deliveries, std::memory_order_relaxed); }
  Counters counters() const;
  Status condition() const EXCLUDES(mutex_);
  const Meter& meter() const { return meter_; }
  // A committed record, where its table may not have it yet.
  RecordBuffer::Found record(const std::string& plugin, const std::string& collection, const std::string& key) const {
    return writer_.record(plugin, collection, key);
  }
  std::map<std::string, Record> records(const RecordFilter& filter) const { return writer_.records(filter); }
  // What any thread may ask of them.
  TimerTable& timers() { return writer_.timers(); }
  const TimerTable& timers() const { return writer_.timers(); }

 private:
  using Events = std::vector<std::unique_ptr<ingest::PendingEvent>>;
  using Settlements = std::vector<std::unique_ptr<Settlement>>;

  struct Work {
    Events events;
    Settlements settlements;
    std::unique_ptr<Task> task;  // one at a time: tasks can wait
  };

  void run();
  void gather() REQUIRES(mutex_);
  bool take(Work& work) EXCLUDES(mutex_);
  void after_batch(const Status& status, Settlements left) EXCLUDES(mutex_);
  // A batch that is written, and not yet certainly on the disk.
  struct Written {
    Work work;
    Writer::Batch batch;
    uint64_t bytes = 0;
    int64_t began_us = 0;  // steady
  };

  void commit(Work work);
  void end(Written written, const Status& status) EXCLUDES(mutex_);
  void tell(Written written, const Status& status);
  Status write(Work& work, Settlements& left, Writer::Batch& batch);
  Status run_task(Work& work, Writer::Batch& batch);
  void measure(size_t events, int64_t began_us, const Status& status);
  Status merge_records(const Events& events);
  bool has_time_until(int64_t until_us) const;
  void publish_events(Events events, const Status& status);
  void publish(Events events, Settlements settlements, Writer::Batch batch, const Status& status);
  void fail(const Status& status);

  const Limits limits_;
  std::atomic<uint64_t> max_backlog_;
  Writer writer_;
  DeliveryObserver* delivery_observer_ = nullptr;
  SettleObserver* settle_observer_ = nullptr;
  Store::OnFatal on_fatal_;
  std::thread thread_;

  mutable Mutex mutex_;
  CondVar work_;
  Events events_ GUARDED_BY(mutex_);
  std::deque<std::unique_ptr<Settlement>> settlements_ GUARDED_BY(mutex_);
  std::deque<std::unique_ptr<Task>> tasks_ GUARDED_BY(mutex_);
  Status last_batch_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;
  bool had_events_ GUARDED_BY(mutex_) = false;  // the last batch
  double usual_events_ GUARDED_BY(mutex_) = 0;    // in a batch, of late
  size_t wanted_events_ GUARDED_BY(mutex_) = 0;   // the committer waits for so many; 0: it does not

  log::Throttle failures_{1};
  Meter meter_;
  std::atomic<bool> failed_{false};
  std::atomic<uint64_t> waiting_bytes_{0};
  std::atomic<int64_t> waiting_since_us_{0};  // since when the oldest waiting event waits (steady); 0: none does
  std::atomic<uint64_t> stored_{0}, duplicates_{0}, batches_{0}, settled_{0};
};

}  // namespace postern::store::sqlite
