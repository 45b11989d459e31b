// postern/setup_calls.hpp - how Setup hands declarations to the host: each struct as the ABI's. Part of plugin.hpp; included by setup.hpp.
#pragma once

#include "setup.hpp"

namespace postern::inline sdk {

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

inline std::vector<SubscriptionEntry> Setup::subscriptions() const {
  const postern_ext_events& table = detail::need(tables_.events, POSTERN_EXT_EVENTS);
  std::vector<SubscriptionEntry> all;
  postern_subscription one{};
  one.struct_size = sizeof one;
  while (table.subscription(tables_.host, all.size(), &one) == POSTERN_OK) {
    all.push_back({all.size(), to_view(one.name), to_view(one.on), to_view(one.with)});
  }
  return all;
}

inline void Setup::default_policy(const Policy& policy) {
  postern_policy_desc desc{};
  desc.struct_size = sizeof desc;
  desc.deadline_ms = to_u32(policy.deadline);
  desc.attempts = policy.attempts;
  desc.retry_base_ms = to_u32(policy.retry_base);
  desc.retry_cap_ms = to_u32(policy.retry_cap);
  add("policy", "of deliveries", tables_.events, POSTERN_EXT_EVENTS,
      [&](const postern_ext_events& table) { return table.default_policy(tables_.host, &desc); });
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
