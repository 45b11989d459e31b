// Upkeep: what the control side changes in a store: dead deliveries are queued again or dropped, settled ones run once more, old events
// removed.
//
// More than a few at a time are a job: a durable row that says what is wanted and how far it has come. Whoever drives jobs (see
// core/dispatch/job_runner.h) finds the next ones by find(), on a read connection, and hands them to advance(), which changes them and
// moves the job's cursor in one transaction. So a job goes on after a crash where it was, and does nothing twice. Each call of
// advance() is a small part of one batch: it never makes senders wait for long.
//
// Contract of every implementation:
//  - Only settled deliveries are changed; an event with an open delivery is never removed.
//  - An event is removed only when its deduplication key is kept elsewhere, or its window has passed.
//  - What a call has returned as done is durable.
// Thread-safety: any thread that may wait for the disk. After the store's stop() calls answer kUnavailable.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/store/rows.h"

namespace postern::store {

// Which deliveries. Empty texts and zeros stand for any.
struct Selection {
  std::string plugin{};  // that has the subscriber
  std::string type{};    // glob of the event's type: * stands for any text
  int64_t since = 0;   // Unix milliseconds, inclusive: of dead ones when they died, of others when the event was received
  int64_t until = 0;   // the same, exclusive
  std::string error{};   // a part of last_error, without regard to case
};

enum class JobKind {
  kReplay,  // dead deliveries are queued again
  kRerun,   // settled ones, done or dead
  kDrop,    // dead deliveries are settled as dropped
  kPrune,   // events whose deliveries are all settled are removed
};
enum class JobState { kRunning, kDone, kCancelled };
const char* to_text(JobKind kind);
const char* to_text(JobState state);

// Which events may be removed: received before `until`, all settled; with dead deliveries only if those died before `dead_until`.
struct Cutoff {
  int64_t until = 0;       // Unix milliseconds
  int64_t dead_until = 0;  // Unix milliseconds; 0: never
};

struct NewJob {
  JobKind kind = JobKind::kReplay;
  Selection selection;              // not for kPrune
  std::vector<int64_t> deliveries;  // these alone; empty: those of the selection
  Cutoff cutoff;                    // for kPrune
  uint32_t rate = 1000;             // deliveries a second; not for kPrune
};

struct Job {
  int64_t id = 0;
  JobKind kind = JobKind::kReplay;
  JobState state = JobState::kRunning;
  Selection selection;
  bool listed = false;  // its deliveries were named one by one
  Cutoff cutoff;
  uint32_t rate = 0;
  int64_t last = 0;      // the newest delivery (kPrune: event) that it looks at: what came or died later is not its business
  int64_t cursor = 0;    // all up to here are looked at
  std::optional<uint64_t> total;  // how many there are; nothing while they are counted
  uint64_t done = 0;
  uint64_t skipped = 0;  // could not be changed any more, or have no subscriber now
  int64_t created_at = 0, finished_at = 0;  // Unix milliseconds
};

// A part of the deliveries, looked through in order.
struct Scan {
  int64_t after = 0;  // not this one nor what is before it (newest_first: behind it; 0: from the newest)
  int64_t last = INT64_MAX;
  size_t limit = 1000;    // rows; it ends with the last of them, unless `count_on`
  bool count_on = false;  // beyond the limit they are only counted
  bool newest_first = false;
  std::chrono::milliseconds time{100};  // it ends after that
};
struct Found {
  std::vector<DeliveryRow> rows;
  uint64_t matched = 0;
  int64_t next = 0;  // to go on after; 0: the end was reached
};

struct ListedDelivery {
  int64_t seq = 0;
  std::string plugin, subscriber;  // empty: it is gone
};

struct Advance {
  struct Item {
    int64_t seq = 0;  // of a delivery (kPrune: an event)
    bool skip = false;  // left as it is, and counted
  };
  std::vector<Item> items;        // ascending
  int64_t cursor = 0;             // where the job is once they are all handled
  bool finished = false;          // nothing is behind them
  std::optional<uint64_t> total;  // where it has just been counted
};
struct Advanced {
  Job job;  // as it is now
  size_t handled = 0;                 // of the items; the rest had no time
  std::vector<OpenDelivery> queued;   // for the dispatcher
};

struct Removed {
  size_t handled = 0;  // of the events named; the rest had no time
  size_t events = 0;   // and so many are gone
};

struct StoreSize {
  uint64_t used_bytes = 0;  // without what is free inside the file
  uint64_t free_bytes = 0;
};

class Upkeep {
 public:
  virtual ~Upkeep() = default;

  // Dead deliveries, or (`settled`) done and dead ones.
  virtual Result<Found> find(const Selection& selection, bool settled, const Scan& scan) = 0;

  // kLimit when too many jobs run already.
  virtual Result<Job> add_job(const NewJob& job) = 0;
  virtual Result<std::vector<Job>> jobs(bool running_only) = 0;  // the oldest first
  virtual Result<Job> job(int64_t id) = 0;                       // kNotFound
  // Of a job with a list: from its next one on.
  virtual Result<std::vector<ListedDelivery>> listed(int64_t job, int64_t after, size_t limit) = 0;
  // kGone when the job does not run any more; then nothing is changed.
  virtual Result<Advanced> advance(int64_t job, const Advance& by) = 0;
  virtual Result<Job> cancel_job(int64_t id) = 0;  // kNotFound; one that has ended stays as it is

  // Deliveries that were queued again and are open, by seq. Store::open_deliveries() leaves them out.
  virtual Result<std::vector<OpenDelivery>> replayed_deliveries(int64_t after, size_t limit) = 0;

  // Events that may be removed, by seq. `next` as in Found; `time` bounds the search.
  struct Prunable {
    std::vector<int64_t> events;
    int64_t next = 0;
  };
  virtual Result<Prunable> prunable(const Cutoff& cutoff, const Scan& scan) = 0;
  // Removes those of them that may still be removed.
  virtual Result<Removed> prune(const Cutoff& cutoff, const std::vector<int64_t>& events) = 0;

  virtual Result<StoreSize> size() = 0;
  // Gives up to so many free bytes back to the file system.
  virtual Status shrink(uint64_t bytes) = 0;
};

}  // namespace postern::store
