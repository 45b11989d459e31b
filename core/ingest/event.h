// What ingest hands to the store, and what comes back once it is durable.
// Thread-safety: plain values; a PendingEvent belongs to one thread at a time (the loop, then the committer, then the loop).
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/base/status.h"

namespace postern::ingest {

// SHA-256 over (provider, route, id), cut to 16 bytes: what makes two requests the same event.
using DedupeKey = std::array<uint8_t, 16>;

// Who an event goes to: a plugin's handlers, or a subscription.
struct Target {
  std::string plugin;
  std::string subscriber;
};
// The subscriber of a plugin's own handlers.
inline constexpr const char* kOwnHandlers = "handlers";
using Targets = std::shared_ptr<const std::vector<Target>>;

struct NewEvent {
  std::string provider;
  std::string type;
  std::string external_id;  // as the provider gave it
  std::string order_key;    // empty: unordered
  int64_t received_at = 0;  // Unix milliseconds
  std::string method;
  std::string target;
  std::string headers;      // lines "Name: value\r\n"
  std::string body;         // exact bytes
  std::string remote;
  uint32_t depth = 0;       // 0 from outside; emitted events are one deeper than what emitted them
  DedupeKey dedupe_key{};
  int64_t dedupe_until = 0;  // Unix milliseconds; 0: never a duplicate of anything
  Targets targets;
};

enum class Outcome { kStored, kDuplicate, kFailed };

class CommitObserver;

// An event on its way into the store. Whoever waits for it derives from this.
struct PendingEvent {
  virtual ~PendingEvent() = default;

  NewEvent event;
  CommitObserver* observer = nullptr;  // outlives the event

  // Filled in by the store.
  Outcome outcome = Outcome::kFailed;
  Status status;         // why it failed
  int64_t seq = 0;
  std::string event_id;  // of this event, or of the first one where this is its duplicate
};

// Told once per batch and observer, after the batch is durable (or has failed), on the committer's thread: must not wait.
class CommitObserver {
 public:
  virtual ~CommitObserver() = default;
  virtual void on_committed(std::vector<std::unique_ptr<PendingEvent>> events) = 0;
};

// Where events go. submit() never waits, from any thread.
class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual void submit(std::unique_ptr<PendingEvent> event) = 0;
  // Whether new events should be turned away now: backlog full, store down.
  virtual Status accepting() const = 0;
};

// Tells how the handling of an event ended, for routes that wait with their answer. Any thread.
class ResultBoard {
 public:
  // The handler's result as JSON ("" when it set none), or nothing when the event could not be handled.
  using OnSettled = std::function<void(std::optional<std::string> result)>;

  virtual ~ResultBoard() = default;
  // `on_settled` is called at most once, on any thread, and must not wait. Call it before the event's deliveries are dispatched:
  // in on_committed().
  virtual void await(int64_t event_seq, OnSettled on_settled) = 0;
  virtual void forget(int64_t event_seq) = 0;
};

}  // namespace postern::ingest
