#include "core/gateway/assembly.h"

#include <algorithm>
#include <map>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/client/url.h"
#include "core/config/faults.h"
#include "core/config/suggest.h"
#include "core/extension/table.h"
#include "core/gateway/overrides.h"

namespace postern::gateway {
namespace {

constexpr std::string_view kOwnHealthChecks[] = {"database", "dispatch", "webhook_url"};  // the gateway's
constexpr uint16_t kSessionsGoAway = 1001;
constexpr const char* kPublishing = "publish";  // the purpose of threads

std::string path_of(const config::Config& config, const config::Plugin& plugin) {
  return plugin.library.starts_with('/') ? plugin.library : config.plugin_dir + "/" + plugin.library;
}

}  // namespace

std::unique_ptr<Assembly> Assembly::make(const config::Config& config, Faults& faults, const Assembly* before) {
  auto assembly = std::make_unique<Assembly>();
  assembly->libraries_ = before == nullptr ? std::make_shared<plugin::LibraryCache>() : before->libraries_;
  if (before != nullptr) assembly->roster_.targets.continue_types(before->targets().types());
  for (const config::Plugin& plugin : config.plugins) {
    if (!plugin.at_fault) assembly->load(config, plugin, faults);
  }
  // A subscription to a plugin that failed to load would be a second fault for the same cause.
  if (faults.empty()) {
    for (const config::Subscription& s : config.subscriptions) assembly->add_subscription(s, faults);
  }
  // Likewise for a service or a scheme of a plugin that failed to load.
  if (assembly->instances_.size() == config.plugins.size()) {
    for (const config::Plugin& plugin : config.plugins) {
      assembly->join_services(plugin, faults);
      assembly->join_schemes(plugin, faults);
    }
  }
  if (faults.empty()) assembly->give_threads();
  assembly->entrances_ = Entrances::make(config, faults, before == nullptr ? nullptr : &before->entrances_);
  if (before != nullptr) assembly->continue_rates(before->routes());
  std::stable_sort(faults.begin(), faults.end(), [](const auto& a, const auto& b) { return a.mark < b.mark; });
  return assembly;
}

void Assembly::load(const config::Config& config, const config::Plugin& plugin, Faults& faults) {
  log::debug("loading a plugin", {{"plugin", plugin.name}});
  auto library = libraries_->load(path_of(config, plugin), extension::has_extension);
  if (!library) {
    faults.push_back({plugin.mark, "plugin " + plugin.name + ": " + library.status().message()});
    return;
  }
  size_t before = faults.size();
  plugin::Surroundings surroundings{config.public_url, !config.trusted_proxies.empty(), {}};
  for (const config::Subscription& s : config.subscriptions) {
    if (s.plugin == plugin.name) surroundings.subscriptions.push_back(&s);
  }
  auto instance = plugin::Instance::make(std::move(*library), plugin, surroundings, extension::host_api(), faults);
  if (!instance) {
    if (faults.size() == before) faults.push_back({plugin.mark, instance.status().message()});
    return;
  }
  add_routes(config, plugin, **instance, faults);
  set_upstreams(plugin, **instance, faults);
  add_handlers(plugin, **instance);
  for (const std::string& type : (*instance)->registrations().timer_types) roster_.targets.add_type(plugin.name, type);
  mark_critical(plugin, **instance);
  add_health_checks(plugin, **instance, faults);
  check_metrics(plugin, **instance, faults);
  for (const auto& service : (*instance)->registrations().services) {
    if (Status s = services_.add(service); !s) faults.push_back({plugin.mark, s.message()});
  }
  for (const auto& scheme : (*instance)->registrations().schemes) schemes_.add(plugin.name, scheme);
  roster_.plugins.push_back(plugin.name);
  instances_.push_back(std::move(*instance));
}

void Assembly::add_routes(const config::Config& config, const config::Plugin& plugin, const plugin::Instance& instance, Faults& faults) {
  std::map<std::string, const config::RouteOverride*> overrides;
  for (const config::RouteOverride& set : plugin.routes) overrides[set.path] = &set;
  for (ingest::Route route : instance.registrations().routes) {
    auto found = overrides.find(route.path);
    const config::RouteOverride* set = found == overrides.end() ? nullptr : found->second;
    config::Mark mark = set == nullptr ? plugin.mark : set->mark;
    if (Status s = apply(set, config, route); !s) faults.push_back({mark, s.message()});
    add_types(route);
    std::string path = route.path;
    if (Status s = routes_.add(std::move(route)); !s)
      faults.push_back({mark, "plugin " + plugin.name + ": route " + path + ": " + s.message()});
  }
  for (const config::RouteOverride& set : plugin.routes) {
    const auto& routes = instance.registrations().routes;
    bool known = std::any_of(routes.begin(), routes.end(), [&](const auto& route) { return route.path == set.path; });
    if (!known) faults.push_back({set.mark, "plugin " + plugin.name + " has no route " + set.path + "; see `postern routes`"});
  }
}

// A reload must not give everybody a full bucket again.
void Assembly::continue_rates(const ingest::RouteTable& before) {
  auto same = [](const auto& ours, const auto& theirs) { return ours && theirs && ours->rate() == theirs->rate(); };
  for (const auto& route : routes_.routes()) {
    for (const auto& old : before.routes()) {
      if (old->provider != route->provider || old->method != route->method || old->path != route->path) continue;
      if (same(route->rules.rate, old->rules.rate)) route->rules.rate = old->rules.rate;
      auto& per_client = route->rules.rate_per_client;
      if (same(per_client, old->rules.rate_per_client)) per_client = old->rules.rate_per_client;
    }
  }
}

void Assembly::set_upstreams(const config::Plugin& plugin, plugin::Instance& instance, Faults& faults) {
  client::Caller& caller = instance.client();
  std::vector<std::string> names;
  for (const client::Upstream& upstream : caller.upstreams()) names.push_back(upstream.name);
  for (const config::UpstreamOverride& set : plugin.upstreams) {
    size_t before = faults.size();
    for (const config::AllowedHost& host : set.allow_hosts.value_or(std::vector<config::AllowedHost>())) {
      Status fit = client::check_host_pattern(host.pattern);
      if (!fit) faults.push_back({host.mark, "upstream " + config::quote(set.name) + ": " + fit.message()});
    }
    if (faults.size() > before) continue;
    Status changed = caller.change_upstream(set.name, [&](client::Upstream& upstream) { apply(set, upstream); });
    if (changed.code() == Code::kNotFound) {
      std::string name = config::quote(set.name) + config::suggest(set.name, names);
      faults.push_back({set.mark, "plugin " + plugin.name + " has no upstream " + name});
    } else if (!changed) {
      faults.push_back({set.mark, "plugin " + plugin.name + ": " + changed.message()});
    }
  }
}

void Assembly::add_handlers(const config::Plugin& plugin, plugin::Instance& instance) {
  std::vector<std::string> globs;
  for (const plugin::Handler& handler : instance.registrations().handlers) globs.push_back(handler.glob);
  const config::Policies policies = policies_for(instance.registrations().policy, plugin.policies);
  if (!globs.empty()) {
    roster_.targets.add_handlers(plugin.name, ingest::kOwnHandlers, std::move(globs));
    roster_.subscribers.push_back({plugin.name, ingest::kOwnHandlers, policies, true, "",
                                  [&instance](dispatch::Delivery& delivery) { return instance.handle(delivery); }});
  }
  for (const plugin::OwnSubscription& own : instance.registrations().own_subscriptions) {
    roster_.targets.add_subscription(plugin.name, own.name, own.handler.glob);
    roster_.subscribers.push_back({plugin.name, own.name, policies, true, "",
                                  [&](dispatch::Delivery& delivery) { return instance.handle(own.handler, delivery); }});
  }
}

void Assembly::mark_critical(const config::Plugin& plugin, const plugin::Instance& instance) {
  for (const std::string& glob : instance.registrations().critical) roster_.critical.mark(plugin.name, glob, true);
  for (const config::EventOverride& set : plugin.events) {
    if (set.critical) roster_.critical.mark(plugin.name, set.type, *set.critical);
  }
}

// For metrics: what a route's events are called where that does not depend on the request.
void Assembly::add_types(const ingest::Route& route) {
  using Source = ingest::Expression::Source;
  roster_.targets.add_type(route.provider, "unknown");
  for (const auto& parts : route.type_from.alternatives()) {
    bool constant = std::all_of(parts.begin(), parts.end(), [](const auto& part) { return part.source == Source::kConst; });
    if (!constant) continue;
    std::string type;
    for (const auto& part : parts) type += (type.empty() ? "" : ":") + part.name;
    roster_.targets.add_type(route.provider, type);
  }
}

// "a" with the metric "b_c" and "a_b" with "c" would be shown as one.
void Assembly::check_metrics(const config::Plugin& plugin, const plugin::Instance& instance, Faults& faults) const {
  for (const postern_metric& metric : instance.registrations().metrics) {
    std::string name = observe::metric_name(plugin.name, metric.name);
    for (const auto& other : instances_) {
      const auto& theirs = other->registrations().metrics;
      auto same = [&](const postern_metric& m) { return observe::metric_name(other->name(), m.name) == name; };
      if (std::none_of(theirs.begin(), theirs.end(), same)) continue;
      faults.push_back({plugin.mark, "plugin " + plugin.name + ": the metric " + name + " is shown for plugin " + other->name() +
                                         " already; name the plugin otherwise"});
    }
  }
}

// A check named as the library goes by the name that the YAML gives the plugin, so that two instances of one library differ.
void Assembly::add_health_checks(const config::Plugin& plugin, plugin::Instance& instance, Faults& faults) {
  for (const plugin::HealthCheck& check : instance.registrations().health_checks) {
    std::string name = check.name == instance.library().id() ? plugin.name : check.name;
    std::replace(name.begin(), name.end(), '-', '_');
    bool taken = std::find(std::begin(kOwnHealthChecks), std::end(kOwnHealthChecks), name) != std::end(kOwnHealthChecks) ||
                 std::any_of(health_checks_.begin(), health_checks_.end(), [&](const auto& other) { return other.name == name; });
    if (taken) {
      faults.push_back({plugin.mark, "plugin " + plugin.name + ": the health check '" + name + "' exists already"});
    } else {
      health_checks_.push_back({std::move(name), &instance, &check});
    }
  }
}

void Assembly::add_subscription(const config::Subscription& subscription, Faults& faults) {
  plugin::Instance* instance = find(subscription.plugin);
  if (instance == nullptr) return;  // told when the file was read
  const plugin::Handler& handler = instance->registrations().subscription;
  if (handler.function == nullptr) {
    faults.push_back({subscription.mark, "plugin " + subscription.plugin + " takes no subscriptions"});
    return;
  }
  const auto& own = instance->registrations().own_subscriptions;
  bool taken = subscription.name == ingest::kOwnHandlers ||
               std::any_of(own.begin(), own.end(), [&](const auto& one) { return one.name == subscription.name; });
  if (taken) {
    faults.push_back({subscription.mark, "the name '" + subscription.name + "' is taken by the plugin itself; give the subscription another"});
    return;
  }
  size_t at = 0;
  auto when = ingest::Filter::make(subscription.when, &at);
  if (!when) return faults.push_back({subscription.when[at].mark, when.status().message()});
  roster_.targets.add_subscription(subscription.plugin, subscription.name, subscription.on, std::move(*when));
  auto handle = [instance, &handler](dispatch::Delivery& delivery) { return instance->handle(handler, delivery); };
  roster_.subscribers.push_back(
      {subscription.plugin, subscription.name, policies_for(instance->registrations().policy, subscription.policies), true, subscription.with_json, handle});
}

void Assembly::join_services(const config::Plugin& plugin, Faults& faults) {
  plugin::Instance* instance = find(plugin.name);
  if (instance == nullptr) return;
  instance->join(services_);
  for (const plugin::ServiceWish& wish : instance->registrations().wishes) {
    if (!wish.required || wish.service) continue;
    faults.push_back({plugin.mark, "plugin " + plugin.name + " needs " + services_.explain_missing(wish.name)});
  }
}

// Finds the schemes of other plugins that its routes name.
void Assembly::join_schemes(const config::Plugin& plugin, Faults& faults) {
  for (const auto& route : routes_.routes()) {
    if (route->provider != plugin.name) continue;
    for (auto& use : route->schemes) {
      if (use.foreign.empty()) continue;
      use.scheme = schemes_.find(use.foreign);
      if (use.scheme) continue;
      faults.push_back({plugin.mark, "plugin " + plugin.name + ": route " + route->path + " needs " + schemes_.explain_missing(use.foreign)});
    }
  }
}

// Threads for calls that a client waits for: each plugin's own, wherever its functions are used. A pool has no thread before its first
// call, and only plugins that are called so have one.
void Assembly::give_threads() {
  constexpr ingest::CallPool::Limits kVerifying{.threads = 2}, kReplying{.threads = 8};
  std::map<std::string, std::shared_ptr<ingest::CallPool>> verifying, replying;
  auto pool_of = [](auto& pools, const std::string& plugin, const ingest::CallPool::Limits& limits) {
    auto& pool = pools[plugin];
    if (!pool) pool = std::make_shared<ingest::CallPool>(limits);
    return pool;
  };
  for (const auto& route : routes_.routes()) {
    for (auto& use : route->schemes) {
      if (use.scheme->runs_plugin()) use.verifying = pool_of(verifying, use.owner(route->provider), kVerifying);
    }
    if (route->asks_plugin()) route->replying = pool_of(replying, route->provider, kReplying);
  }
  for (const auto& instance : instances_) {
    const std::string& name = instance->name();
    if (verifying.contains(name)) call_threads_.push_back({name, "verify", verifying[name]});
    if (replying.contains(name)) call_threads_.push_back({name, "reply", replying[name]});
  }
}

plugin::Instance* Assembly::find(const std::string& name) {
  for (auto& instance : instances_) {
    if (instance->name() == name) return instance.get();
  }
  return nullptr;
}

Status Assembly::connect(client::Client& client, const plugin::Publisher::Outlet& outlet, store::Reports& reports,
                         const std::weak_ptr<const void>& generation) {
  for (auto& instance : instances_) {
    instance->belong_to(generation);
    instance->count_with(reports);
    instance->sessions().open();
    client::Caller& caller = instance->client();
    if (Status s = caller.connect(client, instance->name()); !s) return s.with_context("plugin " + instance->name());
    if (caller.threads()) call_threads_.push_back({instance->name(), "client", caller.threads()});
    instance->timers().connect(alarm_);
    call_threads_.push_back({instance->name(), "timer", instance->timers().threads()});
    instance->publisher().connect(outlet, alarm_, instance->name());
    call_threads_.push_back({instance->name(), kPublishing, instance->publisher().threads()});
  }
  return Status::ok();
}

void Assembly::judge(plugin::Standing standing) {
  plugin::Instance* instance = find(standing.plugin);
  if (instance != nullptr && standing.held_until != 0) {
    instance->hold();
    for (dispatch::Subscriber& subscriber : roster_.subscribers) subscriber.held |= subscriber.plugin == standing.plugin;
    for (const CallThreads& t : call_threads_) {
      if (t.plugin == standing.plugin) t.pool->stop(0);
    }
  }
  standings_.push_back(std::move(standing));
}

Status Assembly::activate() {
  for (auto& instance : instances_) {
    if (Status s = instance->activate(); !s) return s;
  }
  return Status::ok();
}

size_t Assembly::calls_outside() const {
  size_t out = 0;
  for (const auto& instance : instances_) out += instance->client().out();
  return out;
}

void Assembly::close_sessions(uint16_t code, std::string_view reason) {
  for (auto& instance : instances_) instance->sessions().close(code, reason);
}

bool Assembly::stop_calls(int64_t within_ms) {
  int64_t until = steady_ms() + within_ms;
  bool all_back = true;
  close_sessions(kSessionsGoAway, "the plugin ends");
  for (auto& instance : instances_) instance->timers().close();
  for (auto& instance : instances_) all_back = instance->sessions().stop(until) && all_back;
  until = steady_ms() + within_ms;  // sessions that are cut off have taken all of it, and what they published is still to be told of
  for (auto& instance : instances_) all_back = instance->client().close(std::max<int64_t>(0, until - steady_ms())) && all_back;
  for (auto& instance : instances_) all_back = instance->publisher().close(until) && all_back;
  for (const CallThreads& t : call_threads_) {
    if (std::string_view(t.purpose) == kPublishing) continue;  // whoever comes back late is still to be told: close() stops them
    all_back = t.pool->stop(std::max<int64_t>(0, until - steady_ms())) && all_back;
  }
  for (auto& instance : instances_) all_back = instance->close_services(until) && all_back;  // whom threads of plugins may be inside
  return all_back;
}

void Assembly::deactivate(uint32_t drain_ms) {
  for (auto& instance : instances_) instance->deactivate(drain_ms);
}

}  // namespace postern::gateway
