// Timers: the durable ones of plugins. They are set and removed by settlements (Settlement::timers), together with the outcome. When one is
// due, its row goes and its event comes in one transaction: it fires exactly once.
//
// From the moment on at which the store was opened, time is measured by a steady clock that goes on while the machine sleeps; what is
// stored is Unix time. So a clock that is set makes no timer fire early or late, until the next start goes by what the clock says then:
// late ones fire, and those that were set "in the future" wait for their whole delay again, never longer.
// Thread-safety: any thread that may wait for the disk; waiting_timers() never waits for it. After the store's stop() calls answer
// kUnavailable.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/status.h"
#include "core/ingest/event.h"

namespace postern::store {

constexpr uint64_t kMaxTimers = 100'000;  // of one plugin

struct TimerWrite {
  std::string name;
  bool remove = false;   // and the rest says nothing
  int64_t delay_ms = 0;  // from the settlement on
  std::string type, order_key, body;
  uint32_t depth = 0;    // of its event
};

struct DueTimer {
  int64_t seq = 0;  // another one whenever it is set again
  std::string plugin, name, type, order_key, body;
  uint32_t depth = 0;
  int64_t late_ms = 0;
};
struct DueTimers {
  std::vector<DueTimer> timers;       // the longest due first
  std::optional<int64_t> next_in_ms;  // when none is due: until one is; nothing when none waits
};

struct Firing {
  int64_t timer = 0;  // DueTimer::seq
  ingest::NewEvent event;
};
struct Fired {
  size_t handled = 0;  // of those named; the rest had no time
  size_t events = 0;   // the others had been removed or set again
};

class Timers {
 public:
  virtual ~Timers() = default;

  // Of these plugins; a page of at most `limit`, shorter where they are large.
  virtual Result<DueTimers> due_timers(const std::vector<std::string>& plugins, size_t limit) = 0;
  // A small part of one batch. What it has handled is durable, and the events' deliveries are with the DeliveryObserver.
  virtual Result<Fired> fire(std::vector<Firing> timers) = 0;
  // By plugin, those that the configuration no longer has too; without zeros.
  virtual std::map<std::string, uint64_t> waiting_timers() const = 0;
  // `on_set` is told of each commit that has set timers, when the first of them is due. On the committer's thread: it must not wait, nor
  // call this object. Nothing (nullptr): nobody; once that has returned, the one before is not called any more.
  virtual void tell_of_timers(std::function<void(int64_t in_ms)> on_set) = 0;
};

}  // namespace postern::store
