// Assembly: the plugins of one configuration, loaded, with what they registered put together: routes, who takes which event, health; and
// the certificates of its listeners.
// `serve` runs it; `check`, `routes`, `plugins` and `send` only look.
// Thread-safety: make() and the life on one thread at a time; the tables are const afterwards.
#pragma once

#include <memory>
#include <vector>

#include "core/client/client.h"
#include "core/config/config.h"
#include "core/dispatch/roster.h"
#include "core/gateway/entrances.h"
#include "core/ingest/route.h"
#include "core/ingest/target_table.h"
#include "core/observe/metrics.h"
#include "core/plugin/instance.h"
#include "core/plugin/quarantine.h"
#include "core/plugin/library_cache.h"
#include "core/plugin/scheme_directory.h"

namespace postern::gateway {

class Assembly {
 public:
  // Loads and inits every plugin. What is wrong is added to `faults`, with its place in the file; when there are any, the assembly must
  // not be used. A plugin whose entry in the file is at fault already is left out: it would only complain of the same again.
  // `before`: of the configuration that runs: its code is used again where a file has not changed, its types keep their
  // numbers, and rates that are the same go on as they stand.
  static std::unique_ptr<Assembly> make(const config::Config& config, std::vector<config::Fault>& faults, const Assembly* before = nullptr);

  // From then on plugins can call the outside, start timers, open sessions, publish events and count what has come. `client`, `reports` and
  // what `outlet` leads to outlive the assembly's life at work. `generation`: whose it is, which sessions keep at work, and events that
  // are published.
  Status connect(client::Client& client, const plugin::Publisher::Outlet& outlet, store::Reports& reports,
                 const std::weak_ptr<const void>& generation);
  // After connect(), before activate(): how a plugin stands. One that is held is not called: what comes for it waits, and where a client
  // waits for it, there is no thread for that.
  void judge(plugin::Standing standing);
  const std::vector<plugin::Standing>& standings() const { return standings_; }
  Status activate();
  size_t calls_outside() const;  // of plugins, that have not ended
  // No call for which a client waits begins any more, and plugins are told how their own requests ended. False when some have not come
  // back within `within_ms` milliseconds: the assembly must not be destroyed then.
  bool stop_calls(int64_t within_ms);
  // No WebSocket session begins any more; those that there are, are closed with that code.
  void close_sessions(uint16_t code, std::string_view reason);
  void deactivate(uint32_t drain_ms);

  const std::vector<std::unique_ptr<plugin::Instance>>& instances() const { return instances_; }
  const ingest::RouteTable& routes() const { return routes_; }
  const dispatch::Roster& roster() const { return roster_; }
  const ingest::TargetTable& targets() const { return roster_.targets; }
  const std::vector<dispatch::Subscriber>& subscribers() const { return roster_.subscribers; }
  struct HealthCheck {
    std::string name;  // the answer's key, unique
    plugin::Instance* instance;
    const plugin::HealthCheck* check;
  };
  const std::vector<HealthCheck>& health_checks() const { return health_checks_; }
  const plugin::SchemeDirectory& schemes() const { return schemes_; }
  const Entrances& entrances() const { return entrances_; }
  using CallThreads = observe::MetricSources::CallThreads;
  const std::vector<CallThreads>& call_threads() const { return call_threads_; }

 private:
  using Faults = std::vector<config::Fault>;

  void load(const config::Config& config, const config::Plugin& plugin, Faults& faults);
  void add_routes(const config::Config& config, const config::Plugin& plugin, const plugin::Instance& instance, Faults& faults);
  void continue_rates(const ingest::RouteTable& before);
  void set_upstreams(const config::Plugin& plugin, plugin::Instance& instance, Faults& faults);
  void add_handlers(const config::Plugin& plugin, plugin::Instance& instance);
  void add_subscription(const config::Subscription& subscription, Faults& faults);
  void mark_critical(const config::Plugin& plugin, const plugin::Instance& instance);
  void join_services(const config::Plugin& plugin, Faults& faults);
  void join_schemes(const config::Plugin& plugin, Faults& faults);
  void give_threads();
  void add_types(const ingest::Route& route);
  void check_metrics(const config::Plugin& plugin, const plugin::Instance& instance, Faults& faults) const;
  void add_health_checks(const config::Plugin& plugin, plugin::Instance& instance, Faults& faults);
  plugin::Instance* find(const std::string& name);

  std::shared_ptr<plugin::LibraryCache> libraries_;
  plugin::Alarm alarm_;  // of the plugins' timers in memory
  std::vector<std::unique_ptr<plugin::Instance>> instances_;
  std::vector<CallThreads> call_threads_;
  plugin::ServiceDirectory services_;
  plugin::SchemeDirectory schemes_;
  ingest::RouteTable routes_;
  dispatch::Roster roster_;
  std::vector<HealthCheck> health_checks_;
  Entrances entrances_;
  std::vector<plugin::Standing> standings_;
};

}  // namespace postern::gateway
