// postern/setup.hpp - what a plugin declares in init: schemes, routes, samples, handlers, health checks, metrics,
// upstreams, timers, services, sessions, a publisher, reports. Part of plugin.hpp.
//
// What the host refuses is collected and fails init as a whole, so that all faults are seen at once. Threads: [main], during init
// only; Log: any.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <limits>
#include <span>
#include <type_traits>
#include <vector>

#include "client.hpp"
#include "declarations.hpp"
#include "log.hpp"
#include "metrics.hpp"
#include "publisher.hpp"
#include "reports.hpp"
#include "services.hpp"
#include "sessions.hpp"

namespace postern::inline sdk {

class Plugin;

namespace detail {

using EventFunction = std::function<Outcome(Delivery&)>;
using ReplyFunction = std::function<std::optional<Response>(Exchange&)>;
using HandshakeFunction = std::function<std::optional<Response>(Handshake&)>;
using HealthFunction = std::function<Health()>;
using ServiceFunction = std::function<std::string(ServiceCall&)>;

postern_status run_handler(postern_instance* self, void* user, postern_delivery* handle) noexcept;
postern_status run_reply(postern_instance* self, void* user, const postern_request* request, postern_reply* reply) noexcept;
postern_status run_handshake(postern_instance* self, void* user, const postern_request* request, postern_reply* reply) noexcept;
postern_status run_verify(postern_instance* self, void* user, const postern_request* request, int64_t now_ms,
                          const postern_str* secrets, size_t secrets_len, postern_explain* explain) noexcept;
postern_status run_sign(postern_instance* self, void* user, const postern_request* request, int64_t now_ms, postern_str secret,
                        postern_signing* signing) noexcept;
postern_status run_health(postern_instance* self, void* user, postern_health_report* report) noexcept;
postern_status run_service(postern_instance* self, void* user, postern_service_call* call) noexcept;

// A callable or a member function of the plugin, returning void or Outcome, as an EventFunction.
template <typename F>
EventFunction to_event_function(Plugin& self, F handler);
// The same, returning Response, std::optional<Response> or void.
template <typename F>
ReplyFunction to_reply_function(Plugin& self, F handler);

// The same, returning std::optional<Response>, or void.
template <typename F>
HandshakeFunction to_handshake_function(Plugin& self, F handler);

// The same, returning what a std::string is made of, or void.
template <typename F>
ServiceFunction to_service_function(Plugin& self, F function);

// The functions that were registered; their addresses are the `user` pointers, so they never move.
struct Slots {
  std::deque<EventFunction> events;
  std::deque<ReplyFunction> replies;
  std::deque<HandshakeFunction> handshakes;
  std::deque<SchemeFunctions> schemes;
  std::deque<HealthFunction> health;
  TimerSlots timers;
  std::deque<ServiceFunction> services;
};

}  // namespace detail

class Setup {
 public:
  Setup(const detail::HostTables& tables, detail::Slots& slots, Plugin& self)
      : tables_(tables), slots_(slots), self_(self) {}

  void scheme(const Scheme& scheme);
  void scheme_functions(const SchemeFunctions& scheme);
  // An event route.
  void route(const Route& route) { add_route(route, POSTERN_ROUTE_EVENT, nullptr, nullptr); }

  // A reply route. `handler`: a callable taking Exchange& or a member function of the plugin, returning Response,
  // std::optional<Response> where it may detach (and then returns none), or void where it always does. An exception is
  // answered 500, unless it detached before. Runs on several threads at once.
  template <typename F>
  void reply(const Route& route, F handler) {
    auto& slot = slots_.replies.emplace_back(detail::to_reply_function(self_, std::move(handler)));
    add_route(route, POSTERN_ROUTE_REPLY, &detail::run_reply, &slot);
  }

  // A WebSocket route: GET, whatever the route says. `handler`: a callable taking Handshake& or a member function of the plugin, which
  // accepts and returns nothing, or returns the response that refuses. Runs on several threads at once.
  template <typename F>
  void websocket(Route route, F handler) {
    auto& slot = slots_.handshakes.emplace_back(detail::to_handshake_function(self_, std::move(handler)));
    route.method = "GET";
    add_route(route, POSTERN_ROUTE_WEBSOCKET, &detail::run_handshake, &slot);
  }
  // Sessions as a client, from activate on; keep what is returned. Whom a `ca_file` of theirs names ("": whom the system trusts) is read
  // here, rather than on the thread of the first one. Throws Error where the file is wrong.
  Sessions sessions(std::string_view ca_file) const {
    const postern_ext_websocket& table = detail::need(tables_.websocket, POSTERN_EXT_WEBSOCKET);
    detail::check(table.trust(tables_.host, to_abi(ca_file)), "whom to trust");
    return Sessions(tables_);
  }
  // The same for those that are not encrypted, or few.
  Sessions sessions() const {
    detail::need(tables_.websocket, POSTERN_EXT_WEBSOCKET);
    return Sessions(tables_);
  }

  void sample(const Sample& sample);

  // `handler`: a callable taking Delivery& or a member function of the plugin, returning void (done) or Outcome.
  // Throwing Retry, Postpone or Dead ends the delivery so; any other exception is a retry. Handlers run on several threads at
  // once.
  template <typename F>
  void on(std::string_view type_glob, F handler) {
    auto& slot = slots_.events.emplace_back(detail::to_event_function(self_, std::move(handler)));
    add("handler", type_glob, tables_.events, POSTERN_EXT_EVENTS, [&](const postern_ext_events& table) {
      return table.on(tables_.host, to_abi(type_glob), &detail::run_handler, &slot);
    });
  }

  // Somebody must hear of it when a delivery of such an event dies: see critical() in ext/events.h.
  void critical(std::string_view type_glob) {
    add("critical type", type_glob, tables_.events, POSTERN_EXT_EVENTS,
        [&](const postern_ext_events& table) { return table.critical(tables_.host, to_abi(type_glob)); });
  }

  // Takes the deliveries of `subscriptions:` that name this plugin.
  template <typename F>
  void on_subscription(F handler) {
    auto& slot = slots_.events.emplace_back(detail::to_event_function(self_, std::move(handler)));
    add("handler", "of subscriptions", tables_.events, POSTERN_EXT_EVENTS, [&](const postern_ext_events& table) {
      return table.on_subscription(tables_.host, &detail::run_handler, &slot);
    });
  }

  // The YAML's subscriptions that name this plugin, to look at their `with:`; none where the gateway cannot tell.
  std::vector<SubscriptionEntry> subscriptions() const;
  // Something is wrong in the `with:` of one of them, at a JSON pointer. Go on afterwards, to find the other faults.
  void subscription_fault(size_t number, std::string_view pointer, std::string_view text) {
    detail::need(tables_.events, POSTERN_EXT_EVENTS).subscription_fault(tables_.host, number, to_abi(pointer), to_abi(text));
  }
  // What fits the plugin's deliveries where the YAML says nothing of it.
  void default_policy(const Policy& policy);

  // The plugin's own subscription, to events of any provider: see subscribe() in ext/events.h.
  template <typename F>
  void subscribe(std::string_view name, std::string_view type_glob, F handler) {
    auto& slot = slots_.events.emplace_back(detail::to_event_function(self_, std::move(handler)));
    add("subscription", name, tables_.events, POSTERN_EXT_EVENTS, [&](const postern_ext_events& table) {
      return table.subscribe(tables_.host, to_abi(name), to_abi(type_glob), &detail::run_handler, &slot);
    });
  }

  // `interval` zero: the host's default. An exception is shown as unhealthy.
  void health(std::string_view name, detail::HealthFunction check, milliseconds interval = {}) {
    auto& slot = slots_.health.emplace_back(std::move(check));
    add("health check", name, tables_.health, POSTERN_EXT_HEALTH, [&](const postern_ext_health& table) {
      return table.add(tables_.host, to_abi(name), to_u32(interval), &detail::run_health, &slot);
    });
  }

  // Metrics: shown as postern_plugin_PLUGIN_NAME; keep what is returned. See ext/metrics.h for what the gateway refuses.
  Counter counter(const Metric& metric) { return {tables_.metrics, add_metric(metric, POSTERN_METRIC_COUNTER)}; }
  Gauge gauge(const Metric& metric) { return {tables_.metrics, add_metric(metric, POSTERN_METRIC_GAUGE)}; }
  Histogram histogram(const Metric& metric) { return {tables_.metrics, add_metric(metric, POSTERN_METRIC_HISTOGRAM)}; }

  // Durable timers may become events of this type: see DeliveryContext::set_timer().
  void timer_type(std::string_view type) {
    add("timer type", type, tables_.timers, POSTERN_EXT_TIMERS,
        [&](const postern_ext_timers& table) { return table.declare(tables_.host, to_abi(type)); });
  }
  // Timers in memory, from activate on; keep what is returned.
  Timers timers() { return Timers(slots_.timers); }
  // For events outside of any delivery, from activate on; keep what is returned.
  Publisher publisher() { return Publisher(tables_); }

  // What has come and what has become of it, from activate on; keep what is returned.
  Reports reports() { return Reports(tables_); }

  // Somebody whom the plugin calls, from activate on.
  Upstream upstream(const UpstreamOptions& options);

  // What other plugins may call by this name, "mail/1". `function`: a callable taking ServiceCall& or a member function of the plugin,
  // returning the answer, or void for an empty one. Runs on several threads at once.
  template <typename F>
  void publish(std::string_view name, F function) {
    auto& slot = slots_.services.emplace_back(detail::to_service_function(self_, std::move(function)));
    add("service", name, tables_.services, POSTERN_EXT_SERVICES, [&](const postern_ext_services& table) {
      return table.publish(tables_.host, to_abi(name), &detail::run_service, &slot);
    });
  }
  // A service of another plugin, whatever their order: a configuration in which nobody publishes it is refused.
  Service acquire(std::string_view name) { return acquire(name, 0); }
  // The same for one that the plugin can do without: see Service::available().
  Service acquire_optional(std::string_view name) {
    return tables_.services == nullptr ? Service() : acquire(name, POSTERN_SERVICE_OPTIONAL);
  }

  // Something is wrong in `config:` at a JSON pointer; "" is the whole. Go on afterwards, to find the other faults.
  void config_fault(std::string_view pointer, std::string_view text) {
    if (tables_.api.config_fault != nullptr) {
      tables_.api.config_fault(tables_.host, to_abi(pointer), to_abi(text));
    } else {
      fail(POSTERN_E_INVALID, "config" + std::string(pointer) + ": " + std::string(text));
    }
  }

  // What the YAML calls this plugin; empty where the gateway does not tell.
  std::string_view plugin_name() const {
    return tables_.api.plugin_name == nullptr ? std::string_view() : to_view(tables_.api.plugin_name(tables_.host));
  }
  // gateway.public_url without a '/' at its end; empty when it is not set.
  std::string_view public_url() const { return to_view(detail::need(tables_.http, POSTERN_EXT_HTTP).public_url(tables_.host)); }
  // Whether a trusted proxy may tell by which URL a request came.
  bool trusts_proxies() const { return detail::need(tables_.http, POSTERN_EXT_HTTP).trusts_proxies(tables_.host) != 0; }

  Log log() const { return Log(tables_); }

  // The first failure's status, and all of them as text.
  postern_status status() const { return status_; }
  const std::string& failures() const { return failures_; }

 private:
  static uint32_t to_u32(milliseconds value) {
    return static_cast<uint32_t>(std::clamp<int64_t>(value.count(), 0, std::numeric_limits<uint32_t>::max()));
  }

  void fail(postern_status status, const std::string& text) {
    if (status_ == POSTERN_OK) status_ = status;
    failures_ += (failures_.empty() ? "" : "; ") + text;
  }

  postern_metric* add_metric(const Metric& metric, uint32_t kind);
  void add_route(const Route& route, uint32_t kind, postern_reply_handler reply, void* user);
  Service acquire(std::string_view name, uint32_t flags) {
    uint32_t number = std::numeric_limits<uint32_t>::max();
    add("service", name, tables_.services, POSTERN_EXT_SERVICES, [&](const postern_ext_services& table) {
      return table.acquire(tables_.host, to_abi(name), flags, &number);
    });
    return {tables_, number};
  }

  template <typename Table, typename Call>
  void add(const char* kind, std::string_view name, const Table* table, const char* extension, Call call) {
    std::string what = std::string(kind) + " " + std::string(name);
    if (table == nullptr) return fail(POSTERN_E_UNSUPPORTED, what + ": this gateway has no " + extension);
    postern_status status = call(*table);
    if (status < 0) fail(status, what + ": refused by the gateway (" + std::to_string(status) + ")");
  }

  const detail::HostTables& tables_;
  detail::Slots& slots_;
  Plugin& self_;
  postern_status status_ = POSTERN_OK;
  std::string failures_;
};

}  // namespace postern::inline sdk

#include "setup_calls.hpp"
