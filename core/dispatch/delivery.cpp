#include "core/dispatch/delivery.h"

#include <algorithm>
#include <map>
#include <utility>

#include "core/base/clock.h"
#include "core/base/ids.h"

namespace postern::dispatch {
namespace {

// A handler that writes a record twice sees its own write; the version counts on from the one it expected.
uint64_t version_after(const store::RecordWrite& own) {
  return own.expected_version == store::kAnyVersion ? store::kAnyVersion : own.expected_version + 1;
}

}  // namespace

Delivery::Delivery(int64_t seq, uint32_t attempt, std::shared_ptr<const store::StoredEvent> event,
                   std::shared_ptr<const Subscriber> subscriber,
                   store::Store& store, OnEnd on_end)
    : seq_(seq),
      attempt_(attempt),
      idempotency_key_(delivery_id(seq)),
      event_(std::move(event)),
      subscriber_(std::move(subscriber)),
      store_(store),
      on_end_(std::move(on_end)),
      request_{event_->method, event_->target, event_->headers, event_->body, event_->remote},
      started_at_(wall_ms()),
      started_us_(steady_us()) {}

Status Delivery::check_open(size_t more_bytes) {
  if (ended_ || completed_early_) return {Code::kGone, "the delivery has ended"};
  if (records_.size() + emitted_.size() + timers_.size() >= kMaxEffects) return {Code::kLimit, "too many effects in one delivery"};
  if (effect_bytes_ + more_bytes > kMaxEffectBytes) return {Code::kLimit, "the effects of one delivery are too large"};
  effect_bytes_ += more_bytes;
  return Status::ok();
}

Status Delivery::emit(std::string_view type, std::string_view body) {
  if (event_->depth + 1 > kMaxDepth) return {Code::kLimit, "events emit events too deeply"};
  MutexLock lock(mutex_);
  if (Status s = check_open(type.size() + body.size()); !s) return s;
  ingest::NewEvent& event = emitted_.emplace_back();
  event.provider = subscriber_->plugin;
  event.type = type;
  event.body = body;
  event.order_key = event_->order_key;
  event.depth = event_->depth + 1;
  return Status::ok();
}

Status Delivery::set_result(std::string_view json) {
  MutexLock lock(mutex_);
  if (ended_ || completed_early_) return {Code::kGone, "the delivery has ended"};
  size_t bytes = effect_bytes_ - result_json_.size() + json.size();
  if (bytes > kMaxEffectBytes) return {Code::kLimit, "the effects of one delivery are too large"};
  effect_bytes_ = bytes;
  result_json_ = json;
  return Status::ok();
}

Status Delivery::put_record(std::string_view collection, std::string_view key, std::string_view json, uint64_t expected_version) {
  MutexLock lock(mutex_);
  if (Status s = check_open(collection.size() + key.size() + json.size()); !s) return s;
  records_.push_back({std::string(collection), std::string(key), std::string(json), expected_version});
  return Status::ok();
}

Status Delivery::remove_record(std::string_view collection, std::string_view key, uint64_t expected_version) {
  return put_record(collection, key, {}, expected_version);
}

Status Delivery::write_timer(store::TimerWrite timer) {
  bool follows = !timer.remove && timer.delay_ms < kNewBeginningMs;
  if (follows && event_->depth + 1 > kMaxDepth) return {Code::kLimit, "events set timers of less than a second too deeply"};
  timer.depth = follows ? event_->depth + 1 : 0;
  MutexLock lock(mutex_);
  if (Status s = check_open(timer.name.size() + timer.type.size() + timer.order_key.size() + timer.body.size()); !s) return s;
  timers_.push_back(std::move(timer));
  return Status::ok();
}

const store::RecordWrite* Delivery::own_write(std::string_view collection, std::string_view key) const {
  auto own = std::find_if(records_.rbegin(), records_.rend(), [&](const auto& w) { return w.collection == collection && w.key == key; });
  return own == records_.rend() ? nullptr : &*own;
}

Result<std::vector<store::NamedRecord>> Delivery::list_records(store::RecordFilter filter) {
  filter.plugin = subscriber_->plugin;
  size_t limit = filter.limit;
  while (true) {
    std::map<std::string, store::RecordWrite> own;  // the last write of each key in the range
    {
      MutexLock lock(mutex_);
      if (ended_) return Status(Code::kGone, "the delivery has ended");
      for (const store::RecordWrite& w : records_) {
        if (w.collection == filter.collection && w.key > filter.after && w.key.starts_with(filter.prefix)) own[w.key] = w;
      }
    }
    filter.limit = limit + own.size();  // as many may be removed
    auto page = store_.records(filter);
    if (!page || own.empty()) return page;
    bool was_last = page->empty();
    if (!was_last) {  // what lies behind it belongs to the next page
      filter.after = page->back().key;
      own.erase(own.upper_bound(filter.after), own.end());
    }
    std::erase_if(*page, [&](const auto& record) { return own.contains(record.key); });
    for (const auto& [key, write] : own) {
      if (!write.value.empty()) page->push_back({{write.value, version_after(write)}, key});
    }
    std::sort(page->begin(), page->end(), [](const auto& a, const auto& b) { return a.key < b.key; });
    if (page->size() > limit) page->resize(limit);
    if (was_last || !page->empty()) return page;
  }
}

Result<store::Record> Delivery::get_record(std::string_view collection, std::string_view key) {
  {
    MutexLock lock(mutex_);
    if (ended_) return Status(Code::kGone, "the delivery has ended");
    if (const store::RecordWrite* own = own_write(collection, key)) {
      if (own->value.empty()) return Status(Code::kNotFound, "no such record");
      return store::Record{own->value, version_after(*own)};
    }
  }
  auto found = store_.record(subscriber_->plugin, std::string(collection), std::string(key));
  if (!found) return found.status();
  if (!found->has_value()) return Status(Code::kNotFound, "no such record");
  return std::move(**found);
}

void Delivery::retry_after(int64_t ms) {
  MutexLock lock(mutex_);
  retry_after_ms_ = std::max<int64_t>(0, ms);
}

std::optional<int64_t> Delivery::wanted_delay_ms() {
  MutexLock lock(mutex_);
  return retry_after_ms_;
}

void Delivery::on_return(HandlerResult result) {
  {
    MutexLock lock(mutex_);
    returned_ = true;
    // Even past the deadline: whoever returned kPending will call complete() on this handle, however late.
    if (result.outcome == HandlerOutcome::kPending && !handle_released_) keep_alive_ = shared_from_this();
    if (ended_) return;
    if (completed_early_) {
      result = std::move(*completed_early_);  // complete() was faster than the return of kPending
    } else if (result.outcome == HandlerOutcome::kPending) {
      return;
    }
    ended_ = true;
  }
  on_end_(shared_from_this(), std::move(result));
}

Status Delivery::complete(HandlerResult result) {
  std::shared_ptr<Delivery> self = shared_from_this();  // outlives keep_alive_
  std::shared_ptr<Delivery> released;
  {
    MutexLock lock(mutex_);
    handle_released_ = true;
    released = std::move(keep_alive_);
    if (ended_ || completed_early_) return {Code::kGone, "the delivery has ended"};
    if (result.outcome == HandlerOutcome::kPending) return {Code::kInvalid, "a delivery cannot be completed as pending"};
    if (!returned_) {
      completed_early_ = std::move(result);
      return Status::ok();
    }
    ended_ = true;
  }
  on_end_(self, std::move(result));
  return Status::ok();
}

bool Delivery::expire() {
  MutexLock lock(mutex_);
  if (ended_) return false;
  ended_ = true;
  return true;
}

void Delivery::take_effects(store::Settlement& settlement) {
  MutexLock lock(mutex_);
  settlement.records = std::move(records_);
  settlement.emitted = std::move(emitted_);
  settlement.timers = std::move(timers_);
  settlement.result_json = std::move(result_json_);
}

}  // namespace postern::dispatch
