// Scheduler: which delivery runs next. It knows the open deliveries of each subscriber up to its share of the places (the rest stays in
// the store until there is room), holds each order key to one delivery at a time, waits out retries and open breakers, and is fair among
// subscribers: one whose target is down fills its own share and takes nothing from the others.
//
// An entry is at any time in exactly one place: ready (its subscriber's lane), delayed (a retry), waiting (behind another of its
// key), or out (given by next() and not yet given back by release() or retry()).
// A reload gives it another roster. What it has of a subscriber that is in none any more stays where it is, and does not run until a later
// roster has the subscriber again.
// Thread-safety: none of its own; the dispatcher's lock guards it. Times are steady milliseconds.
#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/breaker.h"
#include "core/dispatch/roster.h"
#include "core/dispatch/suspects.h"
#include "core/store/rows.h"

namespace postern::dispatch {

class Scheduler {
 public:
  struct Entry {
    int64_t seq = 0;
    int64_t event_seq = 0;
    size_t subscriber = 0;  // its lane
    uint32_t attempts = 0;  // made so far
    uint32_t conflicts = 0;  // in a row: reruns because a record had changed
    uint32_t postponed = 0;  // in a row: put off at no cost of attempts
    bool trial = false;      // of a breaker that is half open
    bool suspect = false;    // see suspects.h
    uint64_t order = 0;     // hash of (subscriber, provider, order key); 0: unordered
    int64_t replayed_at = 0;  // Unix milliseconds; 0: never
    std::shared_ptr<const store::StoredEvent> event;  // null: read it from the store
    // While it is out: whose it is, though the roster may change; and what of that outlives the plugin.
    std::shared_ptr<const Subscriber> to, facts;
  };

  // From now on these are the subscribers. Each is a part of the roster, which lives as long as anybody holds one of them.
  void adopt(const std::shared_ptr<const Roster>& roster);
  // Null: nobody, for now.
  const std::shared_ptr<const Subscriber>& subscriber(size_t index) const { return lanes_[index].subscriber; }

  // Before begin(): a delivery that runs before all others, alone. False: nobody takes it now, and it waits like the others.
  bool add_suspect(store::OpenDelivery delivery);
  // One has come back, or is not waited for any more.
  void end_suspect(const Entry& entry) { suspects_.end(entry.seq); }
  bool on_trial() const { return suspects_.on_trial(); }

  // A delivery that has become durable, in order of seq. Dropped when there is no room: load() will bring it later.
  void add(store::OpenDelivery delivery, int64_t now_ms, int64_t wall_ms);

  // A settled delivery that was queued again: it takes its place behind those of its key. As many as room_for_replays() says; they have
  // a share of their own, since nobody would bring them later.
  void requeue(store::OpenDelivery delivery, int64_t now_ms, int64_t wall_ms);
  size_t room_for_replays(std::string_view plugin, std::string_view subscriber) const;

  // Filling up from the store. First it has to know where to begin; then what wanted_page() asks for is to be read and given to load().
  // Subscribers take turns.
  void begin(const store::OpenSummary& summary);
  struct Wanted {
    size_t subscriber;
    int64_t after;  // a seq
    size_t limit;
    int64_t newest;  // that was told of: the read will have seen it
  };
  std::optional<Wanted> wanted_page() const;
  void load(const Wanted& wanted, store::OpenPage page, int64_t now_ms, int64_t wall_ms);

  // How many bytes of events it would keep more.
  size_t room_for_events() const { return event_bytes_ < kMaxEventBytes ? kMaxEventBytes - event_bytes_ : 0; }
  // Whether the event of a delivery that came now could be kept until its run.
  bool keeps_events() const;

  // The next delivery that may run now.
  std::optional<Entry> next(int64_t now_ms);
  // Whether next() would give one. What is due by then counts as ready, and wake_at_ms() tells of the rest.
  bool can_run(int64_t now_ms);
  // When next() may have something again that it does not have now; nothing when only add() or release() can help.
  std::optional<int64_t> wake_at_ms() const;

  void release(const Entry& entry, int64_t now_ms);                // settled: the next one of its key may go
  void retry(Entry entry, int64_t at_ms);                          // again, at that time; the key stays taken
  // What a run told about its target; each run tells one of these, once.
  void on_success(const Entry& entry) { lanes_[entry.subscriber].breaker.on_success(entry.trial); }
  void on_failure(const Entry& entry, int64_t now_ms) {
    lanes_[entry.subscriber].breaker.on_failure(entry.trial, now_ms);
    drop_events_of_one_that_rests(lanes_[entry.subscriber]);
  }
  void on_neither(const Entry& entry) { lanes_[entry.subscriber].breaker.on_neither(entry.trial); }
  // A handler of the subscriber does not come back, and holds a thread. With kMaxStuck of them the subscriber rests until one does:
  // each further try would only cost one more thread.
  void on_stuck(const Entry& entry);
  void on_unstuck(const Entry& entry);
  const Breaker& breaker(size_t subscriber) const { return lanes_[subscriber].breaker; }

  size_t known() const { return lanes_.size(); }  // subscribers of all rosters so far
  size_t loaded() const;
  bool has_subscriber(std::string_view plugin, std::string_view name) const { return find(plugin, name).has_value(); }

  static constexpr size_t kMaxLoaded = 100'000;  // of all subscribers, unless they are very many; and as many replays
  static constexpr size_t kSmallestShare = 1'000;
  static constexpr size_t kPage = 10'000;
  static constexpr size_t kMaxStuck = 4;
  static constexpr size_t kMaxEventBytes = 32 * 1024 * 1024;  // of events kept at hand

 private:
  // Of one (plugin, name), for good: a subscriber that comes back in a later roster has it again.
  struct Lane {
    std::shared_ptr<const Subscriber> subscriber;  // null: in no roster now
    // As the last roster had it, without what calls the plugin; in no roster yet: as subscribers are where nobody says otherwise.
    std::shared_ptr<const Subscriber> facts = std::make_shared<Subscriber>();
    std::deque<Entry> ready;
    Breaker breaker{1, 0};
    size_t stuck = 0;
    size_t loaded = 0, replays = 0;  // here, at whatever place
    // All that is open up to this seq is here or settled; what is behind it the store may have, or not if the subscriber is not behind.
    int64_t loaded_to = 0;
    int64_t newest = 0;  // that add() told of
    bool behind = true;
  };
  struct Delayed {
    int64_t at_ms;
    Entry entry;
    bool operator<(const Delayed& o) const { return at_ms > o.at_ms; }  // the earliest on top
  };

  static bool may_start(const Lane& lane, int64_t now_ms) {
    return !lane.ready.empty() && takes(lane) && lane.stuck < kMaxStuck && lane.breaker.allows(now_ms);
  }
  static bool takes(const Lane& lane) { return lane.subscriber && !lane.subscriber->held; }
  std::optional<size_t> find(std::string_view plugin, std::string_view name) const;
  size_t lane_of(const std::string& plugin, const std::string& name);
  bool has_room(const Lane& lane) const { return lane.loaded < share_; }
  static bool rests(const Lane& lane) {
    return !takes(lane) || lane.stuck >= kMaxStuck || lane.breaker.state() == Breaker::State::kOpen;
  }
  void drop_events_of_one_that_rests(Lane& lane);
  void drop_events_of_those_who_are_gone();
  void drop_event(Entry& entry);
  Entry entry_of(size_t subscriber, const store::OpenDelivery& delivery) const;
  void take_in(size_t subscriber, store::OpenDelivery delivery, int64_t now_ms, int64_t wall_ms);
  void admit(Entry entry, int64_t at_ms, int64_t now_ms);
  void wake_delayed(int64_t now_ms);
  std::optional<Entry> next_suspect();

  struct ByName {
    using is_transparent = void;
    using Views = std::pair<std::string_view, std::string_view>;
    bool operator()(const auto& a, const auto& b) const { return Views(a.first, a.second) < Views(b.first, b.second); }
  };
  std::map<std::pair<std::string, std::string>, size_t, ByName> index_;  // lanes by plugin and name
  std::vector<Lane> lanes_;
  size_t share_ = kMaxLoaded;  // of each lane
  size_t next_lane_ = 0;
  size_t next_to_load_ = 0;
  bool begun_ = false;
  std::priority_queue<Delayed> delayed_;
  struct Waiting {
    Entry entry;
    int64_t at_ms;
  };
  // Taken keys, with who waits for them: mostly nobody, so an empty list must cost nothing.
  std::unordered_map<uint64_t, std::list<Waiting>> keys_;
  size_t event_bytes_ = 0;
  Suspects<Entry> suspects_;
};

}  // namespace postern::dispatch
