// Store: where events are durable. One committer takes everything that waits, writes one transaction, fsyncs once, and then
// tells everybody; reading goes on beside it.
//
// Contract of every implementation:
//  - An event is reported as stored, or as a duplicate, only after it (or its first one) is durable.
//  - A settlement's outcome and effects become durable together or not at all.
//  - seq of events and deliveries is never reused, even after rows were removed.
//  - After a write error that leaves the disk's state unknown, nothing is acknowledged any more and on_fatal is called once.
// Thread-safety: submit*, accepting() and the readers from any thread; observers are called on the committer's thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/ingest/event.h"
#include "core/store/meter.h"
#include "core/store/rows.h"
#include "core/store/timers.h"

namespace postern::store {

struct RecordWrite {
  std::string collection, key;
  std::string value;              // empty: the record is removed
  uint64_t expected_version = 0;  // 0: must not exist; kAnyVersion: whatever is there
};
constexpr uint64_t kAnyVersion = UINT64_MAX;

// How one run of a delivery ended, with the effects of its handler.
struct Settlement {
  enum class Kind { kDone, kRetry, kPostpone, kDead };  // kPostpone: put off, and no attempt is kept of it
  virtual ~Settlement() = default;

  int64_t delivery = 0;
  int64_t event = 0;
  std::string plugin;  // owner of the records
  Kind kind = Kind::kDone;
  uint32_t attempts = 0;    // including this one, but for kPostpone
  int64_t started_at = 0;   // Unix milliseconds
  int64_t duration_us = 0;
  int64_t due_at = 0;       // Unix milliseconds; for kRetry and kPostpone
  std::string outcome;      // of a failed attempt: "retry", "dead", "timeout", "exception"
  std::string detail;       // and why
  std::vector<RecordWrite> records;         // only with kDone
  std::vector<TimerWrite> timers;           // only with kDone
  std::vector<ingest::NewEvent> emitted;    // by the handler with kDone, by the dispatcher with kDead
  std::string result_json;                  // only with kDone

  // Filled in by the store.
  // Not ok: nothing of it was written. kConflict: a record had another version; kGone: it is settled already; kLimit: the plugin would
  // have too many timers.
  Status status;
};

struct SettleObserver {
  virtual ~SettleObserver() = default;
  // Once per batch, after it is durable or has failed; must not wait.
  virtual void on_settled(std::vector<std::unique_ptr<Settlement>> settlements) = 0;
};

// Told of each delivery that has become durable, in order of seq; must not wait.
struct DeliveryObserver {
  virtual ~DeliveryObserver() = default;
  // Whether the events shall come along (OpenDelivery::event), to be handled soon. Any thread.
  virtual bool wants_events() const { return true; }
  virtual void on_deliveries(std::vector<OpenDelivery> deliveries) = 0;
};

struct Counters {
  uint64_t events = 0;       // stored since the start
  uint64_t duplicates = 0;
  uint64_t batches = 0;
  uint64_t settled = 0;      // done or dead since the start
  uint64_t open = 0;         // deliveries queued now
  uint64_t dead = 0;         // dead deliveries now
};

class Store : public ingest::EventSink {
 public:
  using OnFatal = std::function<void(const Status&)>;

  // Recovers and starts the committer. Observers outlive stop().
  virtual Status start(DeliveryObserver& deliveries, SettleObserver& settlements, OnFatal on_fatal) = 0;
  // Commits what was submitted, then ends the committer.
  virtual void stop() = 0;

  virtual void submit_settlement(std::unique_ptr<Settlement> settlement) = 0;
  virtual Counters counters() const = 0;
  virtual const Meter& meter() const = 0;
  // What it takes of the disk, in bytes; 0 where that cannot be told. Asks the disk.
  virtual uint64_t size_bytes() const = 0;
  // Why events cannot be stored now, as far as the last batch tells; ok when they can.
  virtual Status condition() const = 0;

  // Readers see the last commit.
  virtual Result<OpenPage> open_deliveries(const OpenQuery& query) = 0;
  // How many there are of each subscriber, those that were queued again by hand too. Looks at each of them.
  virtual Result<OpenSummary> sum_up_open_deliveries() = 0;
  virtual Result<std::shared_ptr<const StoredEvent>> event(int64_t seq) = 0;
  virtual Result<std::optional<Record>> record(const std::string& plugin, const std::string& collection,
                                               const std::string& key) = 0;
  virtual Result<std::vector<NamedRecord>> records(const RecordFilter& filter) = 0;
  virtual Result<std::vector<EventRow>> events(const EventFilter& filter) = 0;
  virtual Result<std::vector<DeliveryRow>> deliveries(const DeliveryFilter& filter) = 0;
  virtual Result<std::vector<AttemptRow>> attempts(int64_t delivery) = 0;
};

}  // namespace postern::store
