// Assembly: the plugins of one configuration, loaded, with what they registered put together: routes, who takes which event, health.
// `serve` runs it; `check`, `routes`, `plugins` and `send` only look.
// Thread-safety: make() and the life on the control thread; the tables are const afterwards.
#pragma once

#include <memory>
#include <vector>

#include "core/client/client.h"
#include "core/config/config.h"
#include "core/dispatch/critical_types.h"
#include "core/dispatch/subscriber.h"
#include "core/ingest/route.h"
#include "core/ingest/target_table.h"
#include "core/observe/metrics.h"
#include "core/plugin/instance.h"

namespace postern::gateway {

class Assembly {
 public:
  // Loads and inits every plugin. What is wrong is added to `faults`, with its place in the file; when there are any, the assembly must
  // not be used. A plugin whose entry in the file is at fault already is left out: it would only complain of the same again.
  static std::unique_ptr<Assembly> make(const config::Config& config, std::vector<config::Fault>& faults);

  // From then on plugins can call the outside and start timers. `client` outlives the assembly.
  Status connect(client::Client& client);
  Status activate();
  // No call for which a client waits begins any more, and plugins are told how their own requests ended. False when some have not come back within `within_ms` milliseconds: the assembly must
  // not be destroyed then.
  bool stop_calls(int64_t within_ms);
  void deactivate(uint32_t drain_ms);

  const std::vector<std::unique_ptr<plugin::Instance>>& instances() const { return instances_; }
  const ingest::RouteTable& routes() const { return routes_; }
  const ingest::TargetTable& targets() const { return targets_; }
  const dispatch::CriticalTypes& critical() const { return critical_; }
  const std::vector<dispatch::Subscriber>& subscribers() const { return subscribers_; }
  struct HealthCheck {
    std::string name;  // the answer's key, unique
    plugin::Instance* instance;
    const plugin::HealthCheck* check;
  };
  const std::vector<HealthCheck>& health_checks() const { return health_checks_; }
  using CallThreads = observe::MetricSources::CallThreads;
  const std::vector<CallThreads>& call_threads() const { return call_threads_; }

 private:
  using Faults = std::vector<config::Fault>;

  void load(const config::Config& config, const config::Plugin& plugin, Faults& faults);
  void add_routes(const config::Config& config, const config::Plugin& plugin, const plugin::Instance& instance, Faults& faults);
  void set_upstreams(const config::Plugin& plugin, plugin::Instance& instance, Faults& faults);
  void add_handlers(const config::Plugin& plugin, plugin::Instance& instance);
  void add_subscription(const config::Subscription& subscription, Faults& faults);
  void mark_critical(const config::Plugin& plugin, const plugin::Instance& instance);
  void join_services(const config::Plugin& plugin, Faults& faults);
  void add_types(const ingest::Route& route);
  void check_metrics(const config::Plugin& plugin, const plugin::Instance& instance, Faults& faults) const;
  void add_health_checks(const config::Plugin& plugin, plugin::Instance& instance, Faults& faults);
  plugin::Instance* find(const std::string& name);

  plugin::Alarm alarm_;  // of the plugins' timers in memory
  std::vector<std::unique_ptr<plugin::Instance>> instances_;
  std::vector<CallThreads> call_threads_;
  plugin::ServiceDirectory services_;
  ingest::RouteTable routes_;
  ingest::TargetTable targets_;
  dispatch::CriticalTypes critical_;
  std::vector<dispatch::Subscriber> subscribers_;
  std::vector<HealthCheck> health_checks_;
};

}  // namespace postern::gateway
