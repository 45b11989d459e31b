#include "core/dispatch/scheduler.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <utility>

namespace postern::dispatch {
namespace {

// Two keys with one hash would only wait for each other.
uint64_t order_hash(size_t lane, const std::string& provider, const std::string& key) {
  uint64_t hash = std::hash<size_t>()(lane);
  for (const std::string* part : {&provider, &key}) {
    hash ^= std::hash<std::string>()(*part) + 0x9e3779b97f4a7c15 + (hash << 6) + (hash >> 2);  // as boost::hash_combine
  }
  return hash == 0 ? 1 : hash;
}

// A stored wall time as a steady one. A clock that was set meanwhile can put it off by the policy's longest delay at most.
int64_t steady_due(int64_t due_wall_ms, int64_t wall_ms, int64_t now_ms, int64_t cap_ms) {
  return now_ms + std::clamp<int64_t>(due_wall_ms - wall_ms, 0, cap_ms);
}

size_t bytes_of(const store::StoredEvent& event) { return event.body.size() + event.headers.size(); }

std::shared_ptr<const Subscriber> facts_of(const Subscriber& subscriber) {
  auto facts = std::make_shared<Subscriber>(subscriber);
  facts->handle = nullptr;
  return facts;
}

}  // namespace

void Scheduler::adopt(const std::shared_ptr<const Roster>& roster) {
  for (Lane& lane : lanes_) lane.subscriber.reset();
  for (const Subscriber& subscriber : roster->subscribers) {
    Lane& lane = lanes_[lane_of(subscriber.plugin, subscriber.name)];
    lane.subscriber = {roster, &subscriber};
    lane.stuck = 0;  // another instance of the plugin
    lane.facts = facts_of(subscriber);
    lane.breaker.change(subscriber.policies.breaker.failures, subscriber.policies.breaker.open_for.count());
  }
  if (!roster->subscribers.empty()) share_ = std::max(kSmallestShare, kMaxLoaded / roster->subscribers.size());
  for (Lane& lane : lanes_) drop_events_of_one_that_rests(lane);
  drop_events_of_those_who_are_gone();
}

// Wherever they are: they would keep the others' from being held for as long as the subscriber is gone.
void Scheduler::drop_events_of_those_who_are_gone() {
  if (std::all_of(lanes_.begin(), lanes_.end(), [](const Lane& lane) { return lane.subscriber != nullptr; })) return;
  auto drop = [this](Entry& entry) {
    if (!lanes_[entry.subscriber].subscriber) drop_event(entry);
  };
  for (auto& [key, waiting] : keys_) {
    for (Waiting& one : waiting) drop(one.entry);
  }
  std::vector<Delayed> all;
  for (; !delayed_.empty(); delayed_.pop()) all.push_back(delayed_.top());
  for (Delayed& delayed : all) {
    drop(delayed.entry);
    delayed_.push(std::move(delayed));
  }
}

void Scheduler::drop_event(Entry& entry) {
  if (!entry.event) return;
  event_bytes_ -= bytes_of(*entry.event);
  entry.event.reset();
}

// A new one has everything in the store before it.
size_t Scheduler::lane_of(const std::string& plugin, const std::string& name) {
  auto [place, is_new] = index_.try_emplace({plugin, name}, lanes_.size());
  if (is_new) lanes_.emplace_back();
  return place->second;
}

// One that is in the roster.
std::optional<size_t> Scheduler::find(std::string_view plugin, std::string_view name) const {
  auto found = index_.find(std::pair(plugin, name));
  bool is_there = found != index_.end() && lanes_[found->second].subscriber;
  return is_there ? std::optional(found->second) : std::nullopt;
}

bool Scheduler::add_suspect(store::OpenDelivery delivery) {
  auto subscriber = find(delivery.plugin, delivery.subscriber);
  if (!subscriber || !takes(lanes_[*subscriber])) return false;
  Entry entry = entry_of(*subscriber, delivery);
  if (entry.order != 0 && !keys_.try_emplace(entry.order).second) return false;  // behind another one
  entry.suspect = true;
  ++(entry.replayed_at != 0 ? lanes_[*subscriber].replays : lanes_[*subscriber].loaded);
  suspects_.add(std::move(entry));
  return true;
}

void Scheduler::add(store::OpenDelivery delivery, int64_t now_ms, int64_t wall_ms) {
  auto known = index_.find(std::pair<std::string_view, std::string_view>(delivery.plugin, delivery.subscriber));
  if (known == index_.end()) return;
  Lane& lane = lanes_[known->second];
  lane.newest = std::max(lane.newest, delivery.seq);
  if (delivery.seq <= lane.loaded_to) return;  // a page had it already
  lane.behind = lane.behind || !lane.subscriber || !has_room(lane);
  if (lane.behind) return;
  lane.loaded_to = delivery.seq;
  ++lane.loaded;
  take_in(known->second, std::move(delivery), now_ms, wall_ms);
}

// Also of those whom nobody takes now: a later roster may have the subscriber again, and nobody would bring them then.
void Scheduler::requeue(store::OpenDelivery delivery, int64_t now_ms, int64_t wall_ms) {
  if (suspects_.contains(delivery.seq, true)) return;  // it is here
  size_t subscriber = lane_of(delivery.plugin, delivery.subscriber);
  ++lanes_[subscriber].replays;
  take_in(subscriber, std::move(delivery), now_ms, wall_ms);
}

size_t Scheduler::room_for_replays(std::string_view plugin, std::string_view name) const {
  auto subscriber = find(plugin, name);
  if (!subscriber) return 0;
  size_t taken = lanes_[*subscriber].replays;
  return taken < share_ ? share_ - taken : 0;
}

std::optional<Scheduler::Wanted> Scheduler::wanted_page() const {
  for (size_t i = 0; begun_ && !on_trial() && i < lanes_.size(); ++i) {
    size_t at = (next_to_load_ + i) % lanes_.size();
    const Lane& lane = lanes_[at];
    if (!lane.behind || !lane.subscriber || lane.loaded > share_ / 2) continue;
    return Wanted{at, lane.loaded_to, std::min(kPage, share_ - lane.loaded), lane.newest};
  }
  return std::nullopt;
}

void Scheduler::load(const Wanted& wanted, store::OpenPage page, int64_t now_ms, int64_t wall_ms) {
  next_to_load_ = (wanted.subscriber + 1) % lanes_.size();
  Lane& lane = lanes_[wanted.subscriber];
  for (store::OpenDelivery& delivery : page.deliveries) {
    if (suspects_.contains(delivery.seq, false)) continue;
    ++lane.loaded;
    take_in(wanted.subscriber, std::move(delivery), now_ms, wall_ms);
  }
  lane.loaded_to = std::max(lane.loaded_to, page.up_to);
  if (!page.whole) return;
  lane.loaded_to = std::max(lane.loaded_to, wanted.newest);  // somebody may have removed it
  lane.behind = lane.newest > lane.loaded_to;
}

void Scheduler::begin(const store::OpenSummary& summary) {
  if (std::exchange(begun_, true)) return;  // with a later roster, everybody stands where they stood, and new ones at the beginning
  for (Lane& lane : lanes_) {
    lane.loaded_to = summary.newest;
    lane.behind = lane.newest > summary.newest;
  }
  for (const store::OpenCount& count : summary.counts) {
    auto known = index_.find(std::pair<std::string_view, std::string_view>(count.plugin, count.subscriber));
    if (known == index_.end() || count.first == 0) continue;  // who comes later is loaded from the beginning
    lanes_[known->second].loaded_to = count.first - 1;
    lanes_[known->second].behind = true;
  }
}

// What it holds at hand would keep the others' events from being held; the store has it.
void Scheduler::drop_events_of_one_that_rests(Lane& lane) {
  if (!rests(lane)) return;
  for (Entry& entry : lane.ready) drop_event(entry);
}

bool Scheduler::keeps_events() const {
  auto keeps = [](const Lane& lane) { return takes(lane) && !lane.behind; };
  return event_bytes_ < kMaxEventBytes && std::any_of(lanes_.begin(), lanes_.end(), keeps);
}

size_t Scheduler::loaded() const {
  return std::accumulate(lanes_.begin(), lanes_.end(), size_t{0}, [](size_t sum, const Lane& l) { return sum + l.loaded + l.replays; });
}

Scheduler::Entry Scheduler::entry_of(size_t subscriber, const store::OpenDelivery& delivery) const {
  const Lane& lane = lanes_[subscriber];
  const std::string& provider = delivery.event ? delivery.event->provider : delivery.provider;
  const std::string& order_key = delivery.event ? delivery.event->order_key : delivery.order_key;
  bool ordered = lane.facts->ordered && !order_key.empty();
  Entry entry;
  entry.seq = delivery.seq;
  entry.event_seq = delivery.event_seq;
  entry.subscriber = subscriber;
  entry.attempts = delivery.attempts;
  entry.order = ordered ? order_hash(subscriber, provider, order_key) : 0;
  entry.replayed_at = delivery.replayed_at;
  return entry;
}

void Scheduler::take_in(size_t subscriber, store::OpenDelivery delivery, int64_t now_ms, int64_t wall_ms) {
  const Lane& lane = lanes_[subscriber];
  Entry entry = entry_of(subscriber, delivery);
  bool soon = !rests(lane);
  if (soon && delivery.event && event_bytes_ + bytes_of(*delivery.event) <= kMaxEventBytes) {
    event_bytes_ += bytes_of(*delivery.event);
    entry.event = std::move(delivery.event);
  }
  int64_t at_ms = steady_due(delivery.due_at, wall_ms, now_ms, lane.facts->policies.retry.cap.count());
  if (entry.order != 0) {
    auto [key, is_free] = keys_.try_emplace(entry.order);
    if (!is_free) {
      key->second.push_back({std::move(entry), at_ms});
      return;
    }
  }
  admit(std::move(entry), at_ms, now_ms);
}

void Scheduler::admit(Entry entry, int64_t at_ms, int64_t now_ms) {
  if (at_ms > now_ms) {
    delayed_.push({at_ms, std::move(entry)});
  } else {
    lanes_[entry.subscriber].ready.push_back(std::move(entry));
  }
}

void Scheduler::wake_delayed(int64_t now_ms) {
  while (!delayed_.empty() && delayed_.top().at_ms <= now_ms) {
    Entry entry = delayed_.top().entry;
    delayed_.pop();
    lanes_[entry.subscriber].ready.push_back(std::move(entry));
  }
}

std::optional<Scheduler::Entry> Scheduler::next(int64_t now_ms) {
  wake_delayed(now_ms);
  if (on_trial()) return next_suspect();
  for (size_t i = 0; i < lanes_.size(); ++i) {
    Lane& lane = lanes_[(next_lane_ + i) % lanes_.size()];
    if (!may_start(lane, now_ms)) continue;
    next_lane_ = (next_lane_ + i + 1) % lanes_.size();
    Entry entry = std::move(lane.ready.front());
    entry.trial = lane.breaker.on_start();
    lane.ready.pop_front();
    entry.to = lane.subscriber;
    entry.facts = lane.facts;
    if (entry.event) event_bytes_ -= bytes_of(*entry.event);
    return entry;
  }
  return std::nullopt;
}

// One whose subscriber is in no roster any more waits like all of its kind.
std::optional<Scheduler::Entry> Scheduler::next_suspect() {
  while (suspects_.may_start()) {
    Entry entry = suspects_.start();
    Lane& lane = lanes_[entry.subscriber];
    if (takes(lane)) {
      entry.trial = lane.breaker.on_start();
      entry.to = lane.subscriber;
      entry.facts = lane.facts;
      return entry;
    }
    suspects_.end(entry.seq);
    entry.suspect = false;
    lane.ready.push_back(std::move(entry));
  }
  return std::nullopt;
}

bool Scheduler::can_run(int64_t now_ms) {
  wake_delayed(now_ms);
  if (on_trial()) return suspects_.may_start();
  return std::any_of(lanes_.begin(), lanes_.end(), [now_ms](const Lane& lane) { return may_start(lane, now_ms); });
}

std::optional<int64_t> Scheduler::wake_at_ms() const {
  std::optional<int64_t> at;
  auto consider = [&at](int64_t ms) { at = at ? std::min(*at, ms) : ms; };
  if (!delayed_.empty()) consider(delayed_.top().at_ms);
  for (const Lane& lane : lanes_) {
    bool waits = !lane.ready.empty() && takes(lane) && lane.stuck < kMaxStuck;
    if (waits && lane.breaker.opens_again_at_ms() > 0) consider(lane.breaker.opens_again_at_ms());
  }
  return at;
}

// Those who are stuck in an instance of the plugin that is no longer the lane's do not hold up the one that is.
void Scheduler::on_stuck(const Entry& entry) {
  Lane& lane = lanes_[entry.subscriber];
  if (entry.to != lane.subscriber) return;
  ++lane.stuck;
  drop_events_of_one_that_rests(lane);
}

void Scheduler::on_unstuck(const Entry& entry) {
  Lane& lane = lanes_[entry.subscriber];
  if (entry.to == lane.subscriber) --lane.stuck;
}

void Scheduler::release(const Entry& entry, int64_t now_ms) {
  if (entry.replayed_at != 0) suspects_.forget(entry.seq, true);  // the next time that it is replayed it comes anew
  Lane& lane = lanes_[entry.subscriber];
  --(entry.replayed_at != 0 ? lane.replays : lane.loaded);
  if (entry.order == 0) return;
  auto key = keys_.find(entry.order);
  if (key->second.empty()) {
    keys_.erase(key);
    return;
  }
  Waiting waiting = std::move(key->second.front());
  key->second.pop_front();
  admit(std::move(waiting.entry), waiting.at_ms, now_ms);
}

void Scheduler::retry(Entry entry, int64_t at_ms) {
  entry.event.reset();  // it may wait long; the store has it
  entry.to.reset();
  entry.suspect = false;
  entry.facts.reset();
  delayed_.push({at_ms, std::move(entry)});
}

}  // namespace postern::dispatch
