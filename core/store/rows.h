// What is read back from a store. Thread-safety: plain values.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/ingest/event.h"

namespace postern::store {

struct StoredEvent : ingest::NewEvent {
  int64_t seq = 0;
  std::string id;  // "evt_…"
};

// A delivery that is not settled yet.
struct OpenDelivery {
  int64_t seq = 0;
  int64_t event_seq = 0;
  std::string plugin, subscriber;
  std::string provider, order_key;  // of the event; only where that is not at hand
  uint32_t attempts = 0;  // made so far
  int64_t due_at = 0;     // Unix milliseconds
  std::shared_ptr<const StoredEvent> event;  // where it is at hand anyway
  int64_t replayed_at = 0;  // Unix milliseconds; 0: it was not queued again by hand
};

// Which open deliveries to read, in the order of their seq. Those that were queued again by hand are not among them (see Upkeep).
struct OpenQuery {
  std::string plugin, subscriber;  // whose; no plugin: everybody's
  int64_t after = 0;               // a seq
  size_t limit = 1000;
  size_t event_bytes = 0;          // the first ones bring their events along, up to about so many bytes
  int64_t look_at = 200'000;       // deliveries, of which there may be none of that subscriber; everybody's: all
};
struct OpenPage {
  std::vector<OpenDelivery> deliveries;
  int64_t up_to = 0;   // a seq: all that was open up to there, behind `after`, is here
  bool whole = false;  // there was nothing behind it when it was read
};
struct OpenCount {
  std::string plugin, subscriber;
  uint64_t deliveries = 0;
  int64_t first = 0;  // a seq: none before it that was not queued again by hand; 0: all were
};
struct OpenSummary {
  std::vector<OpenCount> counts;
  int64_t newest = 0;  // the last delivery there was
};

struct Record {
  std::string value;
  uint64_t version = 0;
};

struct NamedRecord : Record {
  std::string key;
};

// A page of one collection, in the order of the keys' bytes. It ends early where it gets large: only an empty one is the last.
struct RecordFilter {
  std::string plugin, collection;
  std::string prefix;  // of the key
  std::string after;   // a key: from the next one on; empty: from the first
  size_t limit = 100;
};
constexpr size_t kMaxPageBytes = 4 * 1024 * 1024;  // of values; but one record at least

struct EventRow : StoredEvent {
  std::string state;  // of its deliveries together: queued, done, dead, or none
};

struct DeliveryRow {
  int64_t seq = 0;
  int64_t event = 0;
  std::string event_id, event_type;
  std::string plugin, subscriber, state;
  uint32_t attempts = 0;
  int64_t due_at = 0;
  std::string last_error;
  int64_t settled_at = 0;
  int64_t duration_us = 0;
  int64_t replayed_at = 0;  // when it was last queued again by hand; 0: never
  int64_t dropped_at = 0;   // when it was given up for good by hand; 0: never
};

struct AttemptRow {
  int64_t delivery = 0;
  uint32_t n = 0;
  int64_t started_at = 0, duration_us = 0;
  std::string outcome, detail;
};

struct EventFilter {
  std::optional<int64_t> seq;
  int64_t before_seq = 0;  // 0: from the newest
  std::string type;        // glob; empty: any
  size_t limit = 50;
  bool with_content = false;  // headers and body too
};

struct DeliveryFilter {
  std::optional<int64_t> seq;
  std::optional<int64_t> event;
  std::string state;       // empty: any
  int64_t before_seq = 0;
  size_t limit = 50;
};

}  // namespace postern::store
