// MemoryTimers: one plugin's timers in memory. An Alarm waits for them; their callbacks run on threads that serve only this plugin's
// timers, so that one that hangs delays nobody else's.
// Thread-safety: connect() and close() on the control thread; the others on any.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "core/base/status.h"
#include "core/ingest/call_pool.h"
#include "core/plugin/alarm.h"

namespace postern::plugin {

class MemoryTimers {
 public:
  static constexpr size_t kMaxWaiting = 10'000;
  static constexpr int64_t kCallbackMs = 30'000;  // a callback that lasts longer no longer counts as a thread

  using Callback = std::function<void()>;

  explicit MemoryTimers(int64_t callback_ms = kCallbackMs);
  ~MemoryTimers();
  MemoryTimers(const MemoryTimers&) = delete;
  MemoryTimers& operator=(const MemoryTimers&) = delete;

  // From now on timers can be started. `alarm` outlives the plugin.
  void connect(Alarm& alarm);
  // Forgets all that wait; nothing begins any more. Callbacks that run are waited for by the threads' stop().
  void close();

  // kUnavailable before connect(), kGone after close(), kLimit when too many wait.
  Result<uint64_t> start(int64_t delay_ms, Callback callback);
  // False: it has begun, or there is no such timer. True: it never will.
  bool cancel(uint64_t timer);

  size_t waiting() const;
  const std::shared_ptr<ingest::CallPool>& threads() const { return threads_; }

 private:
  struct State;
  class Call;
  static void ring(const std::shared_ptr<State>& state, uint64_t timer);
  static void watch(const std::shared_ptr<State>& state);

  std::atomic<bool> connected_{false};
  const std::shared_ptr<ingest::CallPool> threads_;
  const std::shared_ptr<State> state_;  // shared with what rings and what runs, which may come late
};

}  // namespace postern::plugin
