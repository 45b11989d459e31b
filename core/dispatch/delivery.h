// Delivery: one run of one event at one subscriber: what the handler sees, what it does (its effects), and how it ends.
//
// It ends once: by the handler's return, by complete() after kPending, or by its deadline; whoever comes later gets kGone. Effects
// are gathered here and committed by the store together with the outcome.
// Thread-safety: any thread; a mutex guards it, since a plugin may complete while the deadline passes.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/mutex.h"
#include "core/base/status.h"
#include "core/dispatch/subscriber.h"
#include "core/http/request_view.h"
#include "core/store/store.h"

namespace postern::dispatch {

constexpr uint32_t kMaxDepth = 16;                  // of events that emit events that emit events
constexpr size_t kMaxEffects = 1000;                // records, events and timers of one delivery
constexpr int64_t kNewBeginningMs = 1000;           // a timer of so long is no event that emits events in a circle
constexpr size_t kMaxEffectBytes = 4 * 1024 * 1024;

class Delivery : public std::enable_shared_from_this<Delivery> {
 public:
  // Called once, when the delivery has ended; any thread.
  using OnEnd = std::function<void(std::shared_ptr<Delivery>, HandlerResult)>;

  Delivery(int64_t seq, uint32_t attempt, std::shared_ptr<const store::StoredEvent> event, std::shared_ptr<const Subscriber> subscriber,
           store::Store& store, OnEnd on_end);

  int64_t seq() const { return seq_; }
  uint32_t attempt() const { return attempt_; }  // 1, 2, …
  const std::string& idempotency_key() const { return idempotency_key_; }
  const store::StoredEvent& event() const { return *event_; }
  const Subscriber& subscriber() const { return *subscriber_; }
  const http::RequestView& request() const { return request_; }
  int64_t started_at() const { return started_at_; }  // Unix milliseconds
  int64_t started_us() const { return started_us_; }  // steady

  // Effects. kGone after the end, kLimit beyond the bounds.
  Status emit(std::string_view type, std::string_view body) EXCLUDES(mutex_);
  Status set_result(std::string_view json) EXCLUDES(mutex_);
  Status put_record(std::string_view collection, std::string_view key, std::string_view json, uint64_t expected_version)
      EXCLUDES(mutex_);
  // The committed record or this delivery's own put; kNotFound. The view lives until the next get_record().
  Result<store::Record> get_record(std::string_view collection, std::string_view key) EXCLUDES(mutex_);
  Status remove_record(std::string_view collection, std::string_view key, uint64_t expected_version) EXCLUDES(mutex_);
  // A page of committed records with this delivery's own writes; the filter's plugin is filled in.
  Result<std::vector<store::NamedRecord>> list_records(store::RecordFilter filter) EXCLUDES(mutex_);
  // The write's depth is filled in.
  Status write_timer(store::TimerWrite timer) EXCLUDES(mutex_);
  void retry_after(int64_t ms) EXCLUDES(mutex_);
  std::string& scratch() { return scratch_; }  // what get_record() over the ABI lends out

  // The handler has returned. After kPending the delivery keeps itself alive until complete().
  void on_return(HandlerResult result) EXCLUDES(mutex_);
  // After (or shortly before) a return of kPending. kGone when it has ended already. Drops the keep-alive in any case.
  Status complete(HandlerResult result) EXCLUDES(mutex_);
  // The deadline has passed. False when it had ended already.
  bool expire() EXCLUDES(mutex_);

  // After the end: moves the effects out.
  void take_effects(store::Settlement& settlement) EXCLUDES(mutex_);
  std::optional<int64_t> wanted_delay_ms() EXCLUDES(mutex_);

 private:
  // The last write of this delivery to a record; null when there is none.
  const store::RecordWrite* own_write(std::string_view collection, std::string_view key) const REQUIRES(mutex_);
  Status check_open(size_t more_bytes) REQUIRES(mutex_);

  const int64_t seq_;
  const uint32_t attempt_;
  const std::string idempotency_key_;
  const std::shared_ptr<const store::StoredEvent> event_;
  const std::shared_ptr<const Subscriber> subscriber_;  // its facts: a handle that is kept for ever must not keep the plugin
  store::Store& store_;
  const OnEnd on_end_;
  const http::RequestView request_;
  const int64_t started_at_;
  const int64_t started_us_;
  std::string scratch_;

  Mutex mutex_;
  bool ended_ GUARDED_BY(mutex_) = false;
  bool returned_ GUARDED_BY(mutex_) = false;
  bool handle_released_ GUARDED_BY(mutex_) = false;  // by complete()
  std::optional<HandlerResult> completed_early_ GUARDED_BY(mutex_);
  std::shared_ptr<Delivery> keep_alive_ GUARDED_BY(mutex_);  // while the plugin holds the handle
  size_t effect_bytes_ GUARDED_BY(mutex_) = 0;
  std::vector<store::RecordWrite> records_ GUARDED_BY(mutex_);
  std::vector<ingest::NewEvent> emitted_ GUARDED_BY(mutex_);
  std::vector<store::TimerWrite> timers_ GUARDED_BY(mutex_);
  std::string result_json_ GUARDED_BY(mutex_);
  std::optional<int64_t> retry_after_ms_ GUARDED_BY(mutex_);
};

}  // namespace postern::dispatch
