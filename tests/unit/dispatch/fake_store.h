// FakeStore: a Store in memory, for tests that must hold or fail what the store does. Like the real one it settles on a
// thread of its own, and tells only what is "durable". Thread-safety: any thread.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/base/clock.h"
#include "core/store/store.h"

namespace postern::dispatch::testing {

class FakeStore final : public store::Store {
 public:
  struct Seen {  // a settlement that was written
    int64_t delivery;
    store::Settlement::Kind kind;
    uint32_t attempts;
    std::string outcome, detail, result;
    int64_t due_in;  // milliseconds, as seen when it came
    std::vector<ingest::NewEvent> emitted;
    std::vector<store::RecordWrite> records;
    std::vector<store::TimerWrite> timers;
  };

  ~FakeStore() override { stop(); }

  // Not ok: the settlement is answered so, and not written. Set before the start.
  std::function<Status(const store::Settlement&)> on_settlement;
  std::function<Status(int64_t)> on_event;

  Status start(store::DeliveryObserver& deliveries, store::SettleObserver& settlements, OnFatal) override {
    deliveries_ = &deliveries;
    settlements_ = &settlements;
    thread_ = std::thread([this] { run(); });
    return Status::ok();
  }
  void stop() override {
    {
      std::lock_guard lock(mutex_);
      stopping_ = true;
      changed_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
  }

  // A new event with one delivery; both have the number that is returned.
  int64_t add(const std::string& order_key = "", const std::string& subscriber = "handlers",
              const std::string& plugin = "acme") {
    store::OpenDelivery d;
    {
      std::lock_guard lock(mutex_);
      auto event = std::make_shared<store::StoredEvent>();
      event->seq = ++seq_;
      event->id = "evt_" + std::to_string(seq_);
      event->provider = "acme";
      event->type = "acme.thing.made";
      event->order_key = order_key;
      event->depth = depth;
      event->received_at = wall_ms() - age_ms;
      event->body = "{}";
      d = {seq_, seq_, plugin, subscriber, "acme", order_key, 0, wall_ms(), nullptr, 0};
      events_[seq_] = event;
      open_[seq_] = d;
      if (thread_.joinable()) {
        d.event = event;
        news_.push_back(d);
        changed_.notify_all();
      }
    }
    return d.seq;
  }
  uint32_t depth = 0;
  int64_t age_ms = 0;  // of the events that come

  // Queues a settled delivery again, as a replay does.
  store::OpenDelivery reopen(int64_t seq) {
    std::lock_guard lock(mutex_);
    store::OpenDelivery again{seq, seq, "acme", "handlers", "acme", events_.at(seq)->order_key, 0, wall_ms(), nullptr, wall_ms()};
    return open_[seq] = again;
  }

  // From now on it settles so many at once, and no more than `allowed` in all.
  void hold(size_t allowed, size_t at_once = SIZE_MAX) {
    std::lock_guard lock(mutex_);
    allowed_ = allowed;
    at_once_ = at_once;
    changed_.notify_all();
  }
  size_t submitted() {
    std::lock_guard lock(mutex_);
    return submitted_.size();
  }

  void submit_settlement(std::unique_ptr<store::Settlement> settlement) override {
    std::lock_guard lock(mutex_);
    submitted_.push_back(std::move(settlement));
    changed_.notify_all();
  }
  bool wait_for_seen(size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(60), [&] { return seen_.size() >= count; });
  }
  bool wait_for_submitted(size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(60), [&] { return tried_ >= count; });
  }
  std::vector<Seen> seen() {
    std::lock_guard lock(mutex_);
    return seen_;
  }
  size_t open() {
    std::lock_guard lock(mutex_);
    return open_.size();
  }

  void submit(std::unique_ptr<ingest::PendingEvent>) override {}
  Status accepting() const override { return Status::ok(); }
  Status condition() const override { return Status::ok(); }
  store::Counters counters() const override { return {}; }
  const store::Meter& meter() const override { return meter_; }
  uint64_t size_bytes() const override { return 0; }
  Result<store::OpenPage> open_deliveries(const store::OpenQuery& query) override {
    std::lock_guard lock(mutex_);
    store::OpenPage page;
    page.whole = true;
    page.up_to = std::max(query.after, open_.empty() ? 0 : open_.rbegin()->first);
    for (auto i = open_.upper_bound(query.after); i != open_.end() && page.whole; ++i) {
      const store::OpenDelivery& d = i->second;
      bool is_replayed = d.replayed_at != 0;  // who replays brings them
      if (!is_replayed && d.plugin == query.plugin && d.subscriber == query.subscriber) page.deliveries.push_back(d);
      if (page.deliveries.size() < query.limit) continue;
      page.up_to = i->first;
      page.whole = false;
    }
    return page;
  }
  Result<store::OpenSummary> sum_up_open_deliveries() override {
    std::lock_guard lock(mutex_);
    std::map<std::pair<std::string, std::string>, store::OpenCount> counts;
    store::OpenSummary summary;
    for (const auto& [seq, delivery] : open_) {
      store::OpenCount first{delivery.plugin, delivery.subscriber, 0, seq};
      ++counts.try_emplace({delivery.plugin, delivery.subscriber}, first).first->second.deliveries;
      summary.newest = seq;
    }
    for (auto& [name, count] : counts) summary.counts.push_back(count);
    return summary;
  }
  Result<std::shared_ptr<const store::StoredEvent>> event(int64_t seq) override {
    if (on_event) {
      if (Status s = on_event(seq); !s) return s;
    }
    std::lock_guard lock(mutex_);
    auto found = events_.find(seq);
    if (found == events_.end()) return Status(Code::kNotFound, "no such event");
    return found->second;
  }
  Result<std::optional<store::Record>> record(const std::string&, const std::string& collection,
                                              const std::string& key) override {
    std::lock_guard lock(mutex_);
    auto found = records_.find(collection + "/" + key);
    return found == records_.end() ? std::nullopt : std::optional(found->second);
  }
  Result<std::vector<store::NamedRecord>> records(const store::RecordFilter& filter) override {
    std::lock_guard lock(mutex_);
    std::vector<store::NamedRecord> page;
    for (const auto& [name, record] : records_) {
      std::string key = name.substr(std::min(name.size(), filter.collection.size() + 1));
      bool fits = name.starts_with(filter.collection + "/" + filter.prefix) && key > filter.after;
      if (fits && page.size() < filter.limit) page.push_back({record, key});
    }
    return page;
  }
  Result<std::vector<store::EventRow>> events(const store::EventFilter&) override {
    return std::vector<store::EventRow>();
  }
  // One that is open, by its number.
  Result<std::vector<store::DeliveryRow>> deliveries(const store::DeliveryFilter& filter) override {
    std::lock_guard lock(mutex_);
    std::vector<store::DeliveryRow> rows;
    auto found = open_.find(filter.seq.value_or(0));
    if (found == open_.end()) return rows;
    store::DeliveryRow& row = rows.emplace_back();
    row.seq = found->second.seq;
    row.event = found->second.event_seq;
    row.plugin = found->second.plugin;
    row.subscriber = found->second.subscriber;
    row.state = "queued";
    row.attempts = found->second.attempts;
    row.due_at = found->second.due_at;
    row.replayed_at = found->second.replayed_at;
    return rows;
  }
  Result<std::vector<store::AttemptRow>> attempts(int64_t) override { return std::vector<store::AttemptRow>(); }

 private:
  store::Meter meter_;

  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      auto can_settle = [&] { return std::min({submitted_.size(), at_once_, allowed_}); };
      changed_.wait(lock, [&] { return stopping_ || can_settle() > 0 || !news_.empty(); });
      if (can_settle() == 0 && news_.empty()) return;
      auto first = submitted_.begin(), last = first + static_cast<ptrdiff_t>(can_settle());
      std::vector<std::unique_ptr<store::Settlement>> settlements(std::make_move_iterator(first), std::make_move_iterator(last));
      submitted_.erase(first, last);
      if (allowed_ != SIZE_MAX) allowed_ -= settlements.size();
      auto news = std::exchange(news_, {});
      for (auto& s : settlements) settle(*s);
      lock.unlock();
      if (!settlements.empty()) settlements_->on_settled(std::move(settlements));
      if (!news.empty()) deliveries_->on_deliveries(std::move(news));
      lock.lock();
      changed_.notify_all();
    }
  }
  void settle(store::Settlement& s) {
    ++tried_;
    if (on_settlement) s.status = on_settlement(s);
    if (!s.status) return;
    auto open = open_.find(s.delivery);
    if (open == open_.end()) {
      s.status = {Code::kGone, "settled already"};
      return;
    }
    bool again = s.kind == store::Settlement::Kind::kRetry || s.kind == store::Settlement::Kind::kPostpone;
    if (again) {
      open->second.attempts = s.attempts;
      open->second.due_at = s.due_at;
    } else {
      open_.erase(open);
    }
    for (const auto& w : s.records) {
      if (w.value.empty()) {
        records_.erase(w.collection + "/" + w.key);
        continue;
      }
      store::Record& record = records_[w.collection + "/" + w.key];
      record.value = w.value;
      ++record.version;
    }
    int64_t due_in = again ? s.due_at - wall_ms() : 0;
    seen_.push_back({s.delivery, s.kind, s.attempts, s.outcome, s.detail, s.result_json, due_in, s.emitted, s.records, s.timers});
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::thread thread_;
  bool stopping_ = false;
  int64_t seq_ = 0;
  size_t tried_ = 0;
  size_t allowed_ = SIZE_MAX, at_once_ = SIZE_MAX;
  store::DeliveryObserver* deliveries_ = nullptr;
  store::SettleObserver* settlements_ = nullptr;
  std::map<int64_t, std::shared_ptr<const store::StoredEvent>> events_;
  std::map<int64_t, store::OpenDelivery> open_;
  std::map<std::string, store::Record> records_;
  std::vector<std::unique_ptr<store::Settlement>> submitted_;
  std::vector<store::OpenDelivery> news_;
  std::vector<Seen> seen_;
};

}  // namespace postern::dispatch::testing
