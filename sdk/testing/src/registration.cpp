// What a plugin registers in init: schemes, routes, samples, health checks; and its log.
#include <algorithm>

#include "host_state.h"
#include "json_check.h"

namespace postern::testing {
namespace {

bool is_unknown_expression(const std::string& text, bool list) {
  std::string delimiters = list ? "|+," : "|+";
  size_t start = 0;
  while (!text.empty() && start <= text.size()) {
    size_t end = std::min(text.find_first_of(delimiters, start), text.size());
    std::string part = text.substr(start, end - start);
    part.erase(0, std::min(part.find_first_not_of(' '), part.size()));
    std::string source = part.substr(0, part.find(':'));
    static const std::set<std::string> kSources = {"json", "header", "path", "query", "form", "const"};
    if (source.size() == part.size() || kSources.count(source) == 0) return true;
    start = end + 1;
  }
  return false;
}

// What schemes as data and as functions have in common.
std::string common_fault_of(const HostState& host, const SchemeDeclaration& s) {
  bool known = std::any_of(host.schemes.begin(), host.schemes.end(), [&](const auto& o) { return o.name == s.name; });
  if (s.name.empty() || known) return "its name is empty or taken";
  if (s.header.empty()) return "no header";
  if (s.secrets.empty()) return "no secret";
  if (std::any_of(s.secrets.begin(), s.secrets.end(), [](const auto& one) { return one.empty(); }))
    return "an empty secret";
  return {};
}

std::string fault_of(const HostState& host, const SchemeDeclaration& s) {
  if (std::string fault = common_fault_of(host, s); !fault.empty()) return fault;
  if (s.algorithm < POSTERN_HMAC_SHA1 || s.algorithm > POSTERN_HMAC_SHA512) return "unknown algorithm";
  if (s.separator.size() > 1) return "the separator is longer than one character";
  if (s.signed_bytes.find("{body}") == std::string::npos) return "signed_bytes has no {body}";
  if (s.signed_bytes.find("{id}") != std::string::npos && s.id_header.empty())
    return "signed_bytes has {id}, but there is no id_header";
  if (!s.format.empty() && s.format.find("{signature}") == std::string::npos) return "the format has no {signature}";
  bool stamped = !s.timestamp_header.empty() || s.format.find("{timestamp}") != std::string::npos;
  if (s.signed_bytes.find("{timestamp}") != std::string::npos && !stamped)
    return "signed_bytes has {timestamp}, but nothing gives one";
  if (s.signature_encoding < POSTERN_ENCODING_HEX || s.signature_encoding > POSTERN_ENCODING_BASE64)
    return "unknown signature encoding";
  if (s.secret_encoding < POSTERN_SECRET_RAW || s.secret_encoding > POSTERN_SECRET_WHSEC)
    return "unknown secret encoding";
  if (s.timestamp_unit > POSTERN_TIME_MILLISECONDS) return "unknown timestamp unit";
  return {};
}

postern_status add_scheme(postern_host* handle, const postern_scheme_desc* theirs) {
  HostState& host = HostState::of(handle);
  std::lock_guard lock(host.mutex);
  if (host.phase != Phase::kInit) return POSTERN_E_STATE;
  postern_scheme_desc d = read_sized(theirs);
  SchemeDeclaration s{d.algorithm,
                      to_string(d.name),
                      to_string(d.header),
                      to_string(d.format),
                      to_string(d.separator),
                      to_string(d.timestamp_header),
                      to_string(d.id_header),
                      to_string(d.signed_bytes),
                      d.signature_encoding,
                      d.secret_encoding,
                      d.timestamp_unit,
                      d.tolerance_s,
                      {},
                      false,
                      false};
  for (size_t i = 0; i < d.secrets_len; ++i) s.secrets.push_back(to_string(d.secrets[i]));
  if (std::string fault = fault_of(host, s); !fault.empty()) return host.refuse("scheme '" + s.name + "': " + fault);
  host.schemes.push_back(std::move(s));
  return POSTERN_OK;
}

postern_status add_functions(postern_host* handle, const postern_scheme_functions* theirs) {
  HostState& host = HostState::of(handle);
  std::lock_guard lock(host.mutex);
  if (host.phase != Phase::kInit) return POSTERN_E_STATE;
  postern_scheme_functions f = read_sized(theirs);
  SchemeDeclaration s;
  s.name = to_string(f.name);
  s.header = to_string(f.header);
  for (size_t i = 0; i < f.secrets_len; ++i) s.secrets.push_back(to_string(f.secrets[i]));
  s.functions = true;
  s.can_sign = f.sign != nullptr;
  std::string fault = common_fault_of(host, s);
  if (fault.empty() && f.verify == nullptr) fault = "no verify function";
  if (!fault.empty()) return host.refuse("scheme '" + s.name + "': " + fault);
  f.name = f.header = {};
  f.secrets = nullptr;
  host.scheme_functions[s.name] = f;
  host.schemes.push_back(std::move(s));
  return POSTERN_OK;
}

// What only one kind of route has.
std::string fault_of_kind(const postern_route_desc& d) {
  if (d.kind < POSTERN_ROUTE_EVENT || d.kind > POSTERN_ROUTE_WEBSOCKET) return "unknown kind";
  bool reply = d.kind != POSTERN_ROUTE_EVENT;
  bool websocket = d.kind == POSTERN_ROUTE_WEBSOCKET;
  if (websocket && to_view(d.method) != "GET") return "a WebSocket begins with GET";
  if (websocket && (d.flags & POSTERN_ROUTE_RECORDED) != 0) return "a WebSocket's request is no event";
  if (reply && d.reply == nullptr) return "a reply route without a handler";
  if (reply && d.wait_ms != 0) return "a reply route has a deadline and no wait";
  if (!reply && (d.reply != nullptr || d.deadline_ms != 0)) return "an event route has no reply handler and no deadline";
  if (!reply && (d.flags & POSTERN_ROUTE_RECORDED) != 0) return "POSTERN_ROUTE_RECORDED is for reply routes";
  return {};
}

std::string fault_of(const HostState& host, const postern_route_desc& d, const RouteDeclaration& r) {
  if (std::string fault = fault_of_kind(d); !fault.empty()) return fault;
  if (r.method.empty()) return "no method";
  if (r.path.empty() || r.path[0] != '/') return "the path does not begin with '/'";
  if (r.schemes.empty() != ((r.flags & POSTERN_ROUTE_UNSIGNED) != 0))
    return "schemes, or POSTERN_ROUTE_UNSIGNED: exactly one of them";
  for (const auto& [scheme, id_from] : r.schemes) {
    const std::string& name = scheme;
    const auto& foreign = host.options.foreign_schemes;
    bool known = std::any_of(host.schemes.begin(), host.schemes.end(), [&](const auto& s) { return s.name == name; }) ||
                 std::find(foreign.begin(), foreign.end(), name) != foreign.end();
    if (!known) return "scheme '" + name + "' was not added before, nor is it one of Options::foreign_schemes";
    if (is_unknown_expression(id_from, false)) return "not an expression: " + id_from;
  }
  for (const std::string* text : {&r.type_from, &r.order_key_from, &r.unsigned_id_from, &r.content_from}) {
    if (is_unknown_expression(*text, false)) return "not an expression: " + *text;
  }
  if (is_unknown_expression(r.required, true)) return "not a list of expressions: " + r.required;
  for (const auto& other : host.routes) {
    if (other.method == r.method && other.path == r.path) return "the route is there already";
  }
  return {};
}

postern_status add_route(postern_host* handle, const postern_route_desc* theirs) {
  HostState& host = HostState::of(handle);
  std::lock_guard lock(host.mutex);
  if (host.phase != Phase::kInit) return POSTERN_E_STATE;
  postern_route_desc d = read_sized(theirs);
  RouteDeclaration r{to_string(d.method),
                     to_string(d.path),
                     {},
                     to_string(d.content_types),
                     to_string(d.type_from),
                     to_string(d.order_key_from),
                     to_string(d.required),
                     to_string(d.unsigned_id_from),
                     d.max_body,
                     d.wait_ms,
                     d.flags,
                     d.kind,
                     d.deadline_ms,
                     d.reply != nullptr,
                     to_string(d.content_from),
                     d.dedupe_window_ms};
  for (size_t i = 0; i < d.schemes_len; ++i) {
    r.schemes.emplace_back(to_string(d.schemes[i].scheme), to_string(d.schemes[i].id_from));
  }
  if (std::string fault = fault_of(host, d, r); !fault.empty()) {
    return host.refuse("route " + r.method + " " + r.path + ": " + fault);
  }
  host.routes.push_back(std::move(r));
  host.reply_handlers.push_back({d.reply, d.user});
  return POSTERN_OK;
}

postern_status add_sample(postern_host* handle, const postern_sample_desc* theirs) {
  HostState& host = HostState::of(handle);
  std::lock_guard lock(host.mutex);
  if (host.phase != Phase::kInit) return POSTERN_E_STATE;
  postern_sample_desc d = read_sized(theirs);
  SampleDeclaration s{to_string(d.name),         to_string(d.method), to_string(d.target),
                      to_string(d.content_type), to_string(d.body),   {}};
  if (s.name.empty() || s.method.empty() || s.target.empty() || s.target[0] != '/' || d.headers_len % 2 != 0) {
    return host.refuse("sample '" + s.name + "': it needs a name, a method, a target and pairs of headers");
  }
  for (size_t i = 0; i < d.headers_len; i += 2)
    s.headers.emplace_back(to_string(d.headers[i]), to_string(d.headers[i + 1]));
  host.samples.push_back(std::move(s));
  return POSTERN_OK;
}

postern_status add_health(postern_host* handle, postern_str name, uint32_t interval_ms, postern_health_check check,
                          void* user) {
  HostState& host = HostState::of(handle);
  std::lock_guard lock(host.mutex);
  if (host.phase != Phase::kInit) return POSTERN_E_STATE;
  if (name.len == 0 || check == nullptr) return host.refuse("health check without a name or a function");
  host.checks.push_back({to_string(name), interval_ms, check, user});
  return POSTERN_OK;
}

postern_status report_health(postern_health_report* report, uint32_t status, postern_str message, postern_str details) {
  auto* result = reinterpret_cast<HealthResult*>(report);
  std::string json = to_string(details);
  if (status < POSTERN_HEALTHY || status > POSTERN_UNHEALTHY) return POSTERN_E_INVALID;
  if (!json.empty() && (json[0] != '{' || !is_json(json))) return POSTERN_E_INVALID;
  result->status = status;
  result->message = to_string(message);
  result->details_json = std::move(json);
  return POSTERN_OK;
}

void write_log(postern_host* handle, uint32_t level, postern_str text) {
  HostState& host = HostState::of(handle);
  std::lock_guard lock(host.mutex);
  host.log.push_back({level, to_string(text)});
}

const postern_ext_schemes kSchemes = {&add_scheme, &add_functions, &explain, &add_header};
const postern_ext_routes kRoutes = {&add_route, &add_sample};
const postern_ext_health kHealth = {&add_health, &report_health};
const postern_ext_log kLog = {&write_log};

}  // namespace

const void* find_table(std::string_view id) {
  if (id == POSTERN_EXT_SCHEMES) return &kSchemes;
  if (id == POSTERN_EXT_ROUTES) return &kRoutes;
  if (id == POSTERN_EXT_EVENTS) return &kEvents;
  if (id == POSTERN_EXT_RECORDS) return &kRecords;
  if (id == POSTERN_EXT_HTTP) return &kHttp;
  if (id == POSTERN_EXT_LOG) return &kLog;
  if (id == POSTERN_EXT_HEALTH) return &kHealth;
  if (id == POSTERN_EXT_METRICS) return &kMetrics;
  if (id == POSTERN_EXT_CLIENT) return &kClient;
  if (id == POSTERN_EXT_TIMERS) return &kTimers;
  if (id == POSTERN_EXT_SERVICES) return &kServices;
  if (id == POSTERN_EXT_WEBSOCKET) return &kWebsocket;
  if (id == POSTERN_EXT_REPORTS) return &kReports;
  return nullptr;
}

}  // namespace postern::testing
