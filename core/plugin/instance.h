// Instance: one plugin at work, from create to destroy. Every call into the plugin passes here: exceptions end here, a negative
// status becomes a Status with the plugin's own words.
// Thread-safety: the life (make, activate, deactivate, ~Instance) on the control thread; handle() and check() from any worker.
#pragma once

#include <memory>
#include <string>

#include "core/base/status.h"
#include "core/config/config.h"
#include "core/dispatch/delivery.h"
#include "core/plugin/crash_record.h"
#include "core/plugin/host.h"
#include "core/plugin/library.h"
#include "core/plugin/service_directory.h"

namespace postern::plugin {

class Instance {
 public:
  // Creates and inits. What the plugin finds wrong in its configuration comes as faults, with their places in the file; when there are
  // some, or on failure, there is no instance.
  static Result<std::unique_ptr<Instance>> make(std::shared_ptr<const Library> library, const config::Plugin& config,
                                                const Surroundings& surroundings, const postern_host_api& api,
                                                std::vector<config::Fault>& faults);
  ~Instance();
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;

  // Before activate(): it is in quarantine, and is not called but to be destroyed. For good: another instance takes its place.
  void hold() { held_ = true; }
  bool is_held() const { return held_; }

  Status activate();
  // The host has stopped new calls before. The plugin is told only where activate() succeeded.
  void deactivate(uint32_t drain_ms);

  const std::string& name() const { return host_->name; }
  const Library& library() const { return *library_; }
  const Registrations& registrations() const { return host_->registrations; }

  // By the first of the plugin's handlers whose glob matches the event's type.
  dispatch::HandlerResult handle(dispatch::Delivery& delivery);
  dispatch::HandlerResult handle(const Handler& handler, dispatch::Delivery& delivery);
  client::Caller& client() { return host_->client; }
  MemoryTimers& timers() { return host_->timers; }
  SessionLanes& sessions() { return host_->sessions; }
  Publisher& publisher() { return host_->publisher; }
  void count_with(store::Reports& reports) { host_->reports = &reports; }
  const SessionLanes& sessions() const { return host_->sessions; }
  // In which generation it is at work.
  void belong_to(std::weak_ptr<const void> generation) { host_->generation = std::move(generation); }
  const MemoryTimers& timers() const { return host_->timers; }

  // Who publishes what it wants; before activate().
  void join(const ServiceDirectory& directory);
  // Its services take no call any more; false when one is still inside at `until_ms` (steady).
  bool close_services(int64_t until_ms);
  Status check(const HealthCheck& check, postern_health_report* report);

 private:
  Instance() = default;
  Status create(const postern_host_api& api);
  void note();
  CallSite site(EntryPoint entry, int64_t delivery = 0) const { return {host_->crash_number, entry, delivery}; }

  std::shared_ptr<const Library> library_;
  std::unique_ptr<postern_host> host_;  // its address is the plugin's handle
  postern_plugin functions_{};          // min(theirs, ours), the rest zero
  postern_instance* self_ = nullptr;
  bool active_ = false;
  bool held_ = false;
};

}  // namespace postern::plugin
