// Publisher: the events that one plugin publishes outside of any delivery, on their way into the store, and what the plugin is told of them:
// that they are durable, or, where it waits for that, what its own handler made of them. Its callbacks run on threads that serve nothing
// else, so that one that hangs delays nobody else's.
// Thread-safety: connect() and close() on the control thread; the others on any.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "core/base/status.h"
#include "core/ingest/call_pool.h"
#include "core/ingest/event.h"
#include "core/plugin/alarm.h"

namespace postern::plugin {

class Publisher {
 public:
  static constexpr size_t kMaxWaiting = 10'000;           // events whose end the plugin has not taken yet
  static constexpr size_t kMaxResultBytes = 64ull << 20;  // held by them; beyond it the plugin is told without the result
  static constexpr int64_t kMaxWaitMs = 3'600'000;
  static constexpr int64_t kCallbackMs = 30'000;  // a callback that lasts longer no longer counts as a thread

  // Where events go. All of it outlives what the plugin has published.
  struct Outlet {
    ingest::EventSink& sink;
    ingest::ResultBoard& results;
    std::function<void(ingest::NewEvent&)> address;  // fills in who takes it, and until when it is known again. Any thread
  };
  struct Outcome {
    Status status;  // not ok: it is not durable
    bool duplicate = false;
    bool settled = false;  // the handler is done with it
    std::string event_id, result;
    std::string error;  // why it is not durable, or why nothing is known of its handling
  };
  using OnPublished = std::function<void(const Outcome&)>;  // throws nothing

  explicit Publisher(int64_t callback_ms = kCallbackMs);
  ~Publisher();
  Publisher(const Publisher&) = delete;
  Publisher& operator=(const Publisher&) = delete;

  // From now on events are taken. `alarm` outlives the plugin. `plugin`: its name, for the log.
  void connect(Outlet outlet, Alarm& alarm, std::string plugin);
  // Takes none any more and waits for no handler; then until `until_ms` (steady) for what is on its way to be durable and told of. False
  // when something is not: the plugin must not be destroyed then. May be called again.
  bool close(int64_t until_ms);

  // Does not wait. `event`: as ingest::identify() makes it. `on_published` (may be null) runs once, on one of the plugin's threads; where
  // `wait_ms` is not 0, when the plugin's own handler has settled the event, or so much after it became durable. kUnavailable before
  // connect(), kGone after close(), kLimit when too many are out: then it does not run. `plugin` is held until then.
  Status publish(ingest::NewEvent event, int64_t wait_ms, OnPublished on_published, std::shared_ptr<const void> plugin = nullptr);

  size_t waiting() const;
  const std::shared_ptr<ingest::CallPool>& threads() const { return threads_; }

 private:
  struct State;
  class Call;

  std::atomic<bool> connected_{false};
  const std::shared_ptr<ingest::CallPool> threads_;
  const std::shared_ptr<State> state_;  // shared with what is on its way, which may come late
};

}  // namespace postern::plugin
