// Service: what a plugin does for others, by name ("mail/1"): a function from bytes to bytes, with a door. Calls are let in while the
// plugin is active, and counted by how they ended.
// Thread-safety: open(), close() and wait_until_empty() on the control thread; the others on any.
#pragma once

#include <postern/ext/services.h>

#include <array>
#include <memory>
#include <string>

#include "core/base/counters.h"
#include "core/base/mutex.h"
#include "core/base/status.h"

namespace postern::plugin {

class Service {
 public:
  // `crash_number`: the plugin's in the crash record.
  Service(std::string name, std::string plugin, postern_instance* self, postern_service_function function, void* user,
          uint16_t crash_number = 0)
      : name_(std::move(name)), plugin_(std::move(plugin)), self_(self), function_(function), user_(user), crash_number_(crash_number) {}
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  const std::string& name() const { return name_; }
  const std::string& plugin() const { return plugin_; }  // that publishes it, as the YAML has it

  void open() EXCLUDES(mutex_) { move_to(Door::kOpen); }
  // For good: from then on nobody comes in.
  void close() EXCLUDES(mutex_) { move_to(Door::kClosed); }
  // False when a call is still inside at `until_ms` (steady): the plugin must not be destroyed then.
  bool wait_until_empty(int64_t until_ms) EXCLUDES(mutex_);

  // How the plugin's function ended.
  struct Ended {
    postern_status status = POSTERN_OK;
    std::string error;  // what it said of a status that is not POSTERN_OK
  };
  // Runs it on this thread. kUnavailable: not active yet; kGone. An exception ends here: it is logged, and told to nobody else, since no
  // one has looked what it says.
  Result<Ended> call(postern_service_call* handle) EXCLUDES(mutex_);

  // How calls can end, as `status` of postern_service_calls_total: "ok", "retry", …
  static constexpr size_t kStatuses = 12;
  static const char* status_name(size_t index);
  void count(postern_status status);
  uint64_t calls(size_t index) const { return calls_[index].value(); }

 private:
  enum class Door { kNotYet, kOpen, kClosed };
  void move_to(Door door) EXCLUDES(mutex_);
  Status enter() EXCLUDES(mutex_);
  void leave() EXCLUDES(mutex_);

  const std::string name_, plugin_;
  postern_instance* const self_;
  const postern_service_function function_;
  void* const user_;
  const uint16_t crash_number_;
  std::array<Counter, kStatuses> calls_;

  Mutex mutex_;
  CondVar changed_;
  Door door_ GUARDED_BY(mutex_) = Door::kNotYet;
  size_t inside_ GUARDED_BY(mutex_) = 0;
};

// A service that a plugin wants.
struct ServiceWish {
  std::string name;
  bool required = true;
  std::shared_ptr<Service> service;  // found after init; null: nobody publishes it
};

}  // namespace postern::plugin
