// What the gateway keeps for one plugin instance, and what the instance has registered. `postern_host` of the ABI is this.
// Thread-safety: registrations are written in init on the control thread, and only read after it.
#pragma once

#include <postern/ext/events.h>
#include <postern/ext/health.h>

#include <atomic>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/client/caller.h"
#include "core/config/config.h"
#include "core/ingest/route.h"
#include "core/plugin/memory_timers.h"
#include "core/plugin/metric.h"
#include "core/plugin/publisher.h"
#include "core/plugin/service.h"
#include "core/plugin/session_lanes.h"
#include "core/signature/scheme.h"
#include "core/store/reports.h"

namespace postern::plugin {

struct Handler {
  std::string glob;
  postern_event_handler function = nullptr;
  void* user = nullptr;
};

// One that the plugin makes by itself; those of the YAML are the operator's.
struct OwnSubscription {
  std::string name;
  Handler handler;
};

// A request as the provider would send it, with {{id}} and the like still in it.
struct Sample {
  std::string name, method, target, content_type, body;
  std::vector<std::pair<std::string, std::string>> headers;
};

struct HealthCheck {
  std::string name;
  uint32_t interval_ms = 0;
  postern_health_check function = nullptr;
  void* user = nullptr;
};

struct ConfigFault {
  std::string pointer;  // JSON pointer into the plugin's `config:`, or into a subscription's `with:`
  std::string text;
  std::optional<size_t> subscription = {};  // its number in Surroundings
};

// What fits a plugin's deliveries where the YAML says nothing; 0: as for all.
struct PolicyWish {
  uint32_t deadline_ms = 0, attempts = 0, retry_base_ms = 0, retry_cap_ms = 0;
};

struct Registrations {
  std::vector<std::shared_ptr<const signature::Scheme>> schemes;
  std::vector<ingest::Route> routes;
  std::vector<Handler> handlers;
  std::vector<std::string> critical;  // globs of event types
  Handler subscription;  // function null: takes no subscriptions of the YAML
  std::deque<OwnSubscription> own_subscriptions;
  std::vector<Sample> samples;
  std::vector<HealthCheck> health_checks;
  std::deque<postern_metric> metrics;  // their addresses are the plugin's handles
  std::vector<std::string> timer_types;  // of the events that durable timers become
  std::vector<std::shared_ptr<Service>> services;  // that it publishes
  std::vector<ServiceWish> wishes;                 // by the plugin's number
  std::vector<ConfigFault> faults;
  PolicyWish policy;
  std::string refusal;  // why the last registration was refused: the plugin only gets a status
};

// What a plugin may know of the gateway around it.
struct Surroundings {
  std::string public_url;  // without a '/' at its end; empty when not set
  bool trusts_proxies = false;
  std::vector<const config::Subscription*> subscriptions;  // that name it; only in init
};

// The text that set_error left for this thread's next negative status.
void leave_error(std::string_view text);
std::string take_error();

}  // namespace postern::plugin

struct postern_host {
  enum class Phase { kCreated, kInit, kReady, kActive, kDown };

  std::string name;  // as the YAML has it
  uint16_t crash_number = 0;  // in the crash record; 0: its calls are not noted
  postern::plugin::Surroundings surroundings;
  postern_instance* self = nullptr;  // from create on
  std::atomic<Phase> phase{Phase::kCreated};
  postern::plugin::Registrations registrations;
  postern::client::Caller client;  // its calls to the outside
  postern::plugin::MemoryTimers timers;
  postern::plugin::SessionLanes sessions;
  postern::plugin::Publisher publisher;
  postern::store::Reports* reports = nullptr;  // from activate on
  std::weak_ptr<const void> generation;  // in which it is at work: who holds it keeps it there
  // Replies that the plugin has detached and not given back. Shared with them, since they may outlive the instance.
  std::shared_ptr<std::atomic<size_t>> detached_replies = std::make_shared<std::atomic<size_t>>(0);
};
