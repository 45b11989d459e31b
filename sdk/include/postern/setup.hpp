// postern/setup.hpp - what a plugin declares in init: schemes, routes, samples, handlers, health checks, metrics,
// upstreams, timers, services, sessions, a publisher. Part of plugin.hpp.
//
// Declarations are plain structs for designated initialisers; a member left out means the host's default. What the host
// refuses is collected and fails init as a whole, so that all faults are seen at once. Threads: [main], during init
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
#include "metrics.hpp"
#include "publisher.hpp"
#include "services.hpp"
#include "sessions.hpp"

namespace postern::inline sdk {

class Plugin;

enum class Hmac : uint32_t { kSha1 = POSTERN_HMAC_SHA1, kSha256 = POSTERN_HMAC_SHA256, kSha512 = POSTERN_HMAC_SHA512 };
enum class Encoding : uint32_t { kHex = POSTERN_ENCODING_HEX, kBase64 = POSTERN_ENCODING_BASE64 };
enum class SecretEncoding : uint32_t {
  kRaw = POSTERN_SECRET_RAW,
  kBase64 = POSTERN_SECRET_BASE64,
  kWhsec = POSTERN_SECRET_WHSEC
};
enum class TimeUnit : uint32_t { kSeconds = POSTERN_TIME_SECONDS, kMilliseconds = POSTERN_TIME_MILLISECONDS };

// postern_scheme_desc, member for member: see ext/schemes.h.
struct Scheme {
  std::string_view name = {};
  Hmac algorithm = Hmac::kSha256;
  std::string_view header = {};
  std::string_view format = {};
  std::string_view separator = {};
  std::string_view timestamp_header = {};
  std::string_view id_header = {};
  std::string_view signed_bytes = "{body}";
  Encoding signature_encoding = Encoding::kHex;
  SecretEncoding secret_encoding = SecretEncoding::kRaw;
  TimeUnit timestamp_unit = TimeUnit::kSeconds;
  uint32_t tolerance_s = 0;
  std::span<const std::string> secrets = {};
};

// postern_scheme_functions: a scheme that the plugin checks itself, where no description fits: see ext/schemes.h. They run on
// several threads at once. An exception of verify says that it cannot be told: the request is answered 503.
struct SchemeFunctions {
  std::string_view name = {};
  std::string_view header = {};
  std::span<const std::string> secrets = {};
  std::function<bool(const Verification&)> verify = {};  // whether it is genuine
  std::function<void(Signing&)> sign = {};               // optional
};

struct RouteScheme {
  std::string_view scheme = {};
  std::string_view id_from = {};
};

// postern_route_desc: see ext/routes.h. What only reply routes have stands last.
struct Route {
  std::string_view method = "POST";
  std::string_view path = {};
  std::vector<RouteScheme> schemes = {};
  std::string_view content_types = {};
  std::string_view type_from = {};
  std::string_view order_key_from = {};
  std::string_view required = {};
  std::string_view unsigned_id_from = {};
  uint64_t max_body = 0;
  milliseconds wait = {};
  bool without_signature = false;
  bool unordered = false;
  milliseconds deadline = {};
  bool recorded = false;
  std::string_view content_from = {};
  milliseconds dedupe_window = {};
};

// postern_sample_desc: see ext/routes.h. Headers are name, value, name, value, …
struct Sample {
  std::string_view name = {};
  std::string_view method = "POST";
  std::string_view target = {};
  std::string_view content_type = "application/json";
  std::string_view body = {};
  std::vector<std::string_view> headers = {};
};

// What a health check found.
struct Health {
  enum State : uint32_t {
    kHealthy = POSTERN_HEALTHY,
    kConfigured = POSTERN_CONFIGURED,
    kDegraded = POSTERN_DEGRADED,
    kUnhealthy = POSTERN_UNHEALTHY
  };
  State state = kUnhealthy;
  std::string message = {};
  std::string details_json = {};
};

// Lines in the gateway's log; nothing where the gateway has no postern.log. Never give it a secret.
class Log {
 public:
  Log() = default;
  explicit Log(const detail::HostTables& tables) : host_(tables.host), table_(tables.log) {}
  void debug(std::string_view text) const { write(POSTERN_LOG_DEBUG, text); }
  void info(std::string_view text) const { write(POSTERN_LOG_INFO, text); }
  void warn(std::string_view text) const { write(POSTERN_LOG_WARN, text); }
  void error(std::string_view text) const { write(POSTERN_LOG_ERROR, text); }

 private:
  void write(uint32_t level, std::string_view text) const {
    if (table_ != nullptr) table_->write(host_, level, to_abi(text));
  }
  postern_host* host_ = nullptr;
  const postern_ext_log* table_ = nullptr;
};

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

inline void Setup::scheme(const Scheme& scheme) {
  std::vector<postern_str> secrets;
  for (const std::string& secret : scheme.secrets) secrets.push_back(to_abi(secret));
  postern_scheme_desc desc{};
  desc.struct_size = sizeof desc;
  desc.algorithm = static_cast<uint32_t>(scheme.algorithm);
  desc.name = to_abi(scheme.name);
  desc.header = to_abi(scheme.header);
  desc.format = to_abi(scheme.format);
  desc.separator = to_abi(scheme.separator);
  desc.timestamp_header = to_abi(scheme.timestamp_header);
  desc.id_header = to_abi(scheme.id_header);
  desc.signed_bytes = to_abi(scheme.signed_bytes);
  desc.signature_encoding = static_cast<uint32_t>(scheme.signature_encoding);
  desc.secret_encoding = static_cast<uint32_t>(scheme.secret_encoding);
  desc.timestamp_unit = static_cast<uint32_t>(scheme.timestamp_unit);
  desc.tolerance_s = scheme.tolerance_s;
  desc.secrets = secrets.data();
  desc.secrets_len = secrets.size();
  add("scheme", scheme.name, tables_.schemes, POSTERN_EXT_SCHEMES,
      [&](const postern_ext_schemes& table) { return table.add(tables_.host, &desc); });
}

inline void Setup::scheme_functions(const SchemeFunctions& scheme) {
  std::vector<postern_str> secrets;
  for (const std::string& secret : scheme.secrets) secrets.push_back(to_abi(secret));
  auto& slot = slots_.schemes.emplace_back(SchemeFunctions{{}, {}, {}, scheme.verify, scheme.sign});
  postern_scheme_functions functions{};
  functions.struct_size = sizeof functions;
  functions.name = to_abi(scheme.name);
  functions.header = to_abi(scheme.header);
  functions.secrets = secrets.data();
  functions.secrets_len = secrets.size();
  functions.verify = scheme.verify ? &detail::run_verify : nullptr;
  functions.sign = scheme.sign ? &detail::run_sign : nullptr;
  functions.user = &slot;
  add("scheme", scheme.name, tables_.schemes, POSTERN_EXT_SCHEMES,
      [&](const postern_ext_schemes& table) { return table.add_functions(tables_.host, &functions); });
}

inline void Setup::add_route(const Route& route, uint32_t kind, postern_reply_handler reply, void* user) {
  std::vector<postern_route_scheme> schemes;
  for (const RouteScheme& one : route.schemes) schemes.push_back({to_abi(one.scheme), to_abi(one.id_from)});
  postern_route_desc desc{};
  desc.struct_size = sizeof desc;
  desc.kind = kind;
  desc.method = to_abi(route.method);
  desc.path = to_abi(route.path);
  desc.schemes = schemes.data();
  desc.schemes_len = schemes.size();
  desc.content_types = to_abi(route.content_types);
  desc.type_from = to_abi(route.type_from);
  desc.order_key_from = to_abi(route.order_key_from);
  desc.required = to_abi(route.required);
  desc.unsigned_id_from = to_abi(route.unsigned_id_from);
  desc.max_body = route.max_body;
  desc.wait_ms = to_u32(route.wait);
  if (route.without_signature) desc.flags |= POSTERN_ROUTE_UNSIGNED;
  if (route.unordered) desc.flags |= POSTERN_ROUTE_UNORDERED;
  if (route.recorded) desc.flags |= POSTERN_ROUTE_RECORDED;
  desc.deadline_ms = to_u32(route.deadline);
  desc.content_from = to_abi(route.content_from);
  desc.dedupe_window_ms = static_cast<uint64_t>(std::max<int64_t>(0, route.dedupe_window.count()));
  desc.reply = reply;
  desc.user = user;
  add("route", route.path, tables_.routes, POSTERN_EXT_ROUTES,
      [&](const postern_ext_routes& table) { return table.add(tables_.host, &desc); });
}

inline postern_metric* Setup::add_metric(const Metric& metric, uint32_t kind) {
  postern_metric* made = nullptr;
  if (tables_.metrics == nullptr) return made;
  std::vector<postern_str> labels, values;
  for (std::string_view label : metric.labels) labels.push_back(to_abi(label));
  bool whole = true;
  for (const auto& row : metric.series) {
    whole = whole && row.size() == metric.labels.size();
    for (std::string_view value : row) values.push_back(to_abi(value));
  }
  postern_metric_desc desc{};
  desc.struct_size = sizeof desc;
  desc.kind = kind;
  desc.name = to_abi(metric.name);
  desc.help = to_abi(metric.help);
  desc.labels = labels.data();
  desc.labels_len = labels.size();
  desc.values = values.data();
  desc.series_len = metric.series.size();
  desc.buckets = metric.buckets.data();
  desc.buckets_len = metric.buckets.size();
  add("metric", metric.name, tables_.metrics, POSTERN_EXT_METRICS, [&](const postern_ext_metrics& table) {
    return whole ? table.add(tables_.host, &desc, &made) : POSTERN_E_INVALID;  // a row has a value for each label
  });
  return made;
}

inline Upstream Setup::upstream(const UpstreamOptions& options) {
  postern_upstream_desc desc{};
  desc.struct_size = sizeof desc;
  if (options.any_host) desc.flags |= POSTERN_UPSTREAM_ANY_HOST;
  if (options.allow_http) desc.flags |= POSTERN_UPSTREAM_ALLOW_HTTP;
  desc.name = to_abi(options.name);
  desc.base_url = to_abi(options.base_url);
  desc.allow_hosts = to_abi(options.allow_hosts);
  desc.ca_file = to_abi(options.ca_file);
  desc.attempts = options.attempts;
  desc.retry_base_ms = to_u32(options.retry_base);
  desc.retry_cap_ms = to_u32(options.retry_cap);
  desc.breaker_failures = options.breaker_failures;
  desc.breaker_open_ms = to_u32(options.breaker_open);
  desc.connect_ms = to_u32(options.connect);
  desc.attempt_ms = to_u32(options.attempt);
  desc.deadline_ms = to_u32(options.deadline);
  desc.max_in_flight = options.max_in_flight;
  desc.max_waiting = options.max_waiting;
  desc.max_redirects = options.max_redirects;
  desc.max_response = options.max_response;
  uint32_t number = std::numeric_limits<uint32_t>::max();
  add("upstream", options.name, tables_.client, POSTERN_EXT_CLIENT,
      [&](const postern_ext_client& table) { return table.add_upstream(tables_.host, &desc, &number); });
  return Upstream(tables_, number);
}

inline void Setup::sample(const Sample& sample) {
  std::vector<postern_str> headers;
  for (std::string_view text : sample.headers) headers.push_back(to_abi(text));
  postern_sample_desc desc{};
  desc.struct_size = sizeof desc;
  desc.name = to_abi(sample.name);
  desc.method = to_abi(sample.method);
  desc.target = to_abi(sample.target);
  desc.content_type = to_abi(sample.content_type);
  desc.body = to_abi(sample.body);
  desc.headers = headers.data();
  desc.headers_len = headers.size();
  add("sample", sample.name, tables_.routes, POSTERN_EXT_ROUTES,
      [&](const postern_ext_routes& table) { return table.add_sample(tables_.host, &desc); });
}

}  // namespace postern::inline sdk
