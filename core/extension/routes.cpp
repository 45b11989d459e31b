// postern.routes/1
#include <postern/ext/routes.h>

#include <algorithm>

#include "core/config/config.h"
#include "core/extension/convert.h"
#include "core/extension/handles.h"
#include "core/extension/reply_handles.h"
#include "core/extension/table.h"
#include "core/plugin/call.h"

namespace postern::extension {
namespace {

using ingest::Expression;
using ingest::Reply;
using ingest::Route;

constexpr uint64_t kLongestWindowMs = 365ull * 24 * 3600 * 1000;

// "a, b" → {"a", "b"}
std::vector<std::string> split_list(std::string_view text) {
  std::vector<std::string> items;
  while (!text.empty()) {
    size_t comma = text.find(',');
    std::string_view item = text.substr(0, comma);
    while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
    while (!item.empty() && item.back() == ' ') item.remove_suffix(1);
    if (!item.empty()) items.emplace_back(item);
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  return items;
}

Status parse_into(postern_str text, const char* what, Expression& out) {
  auto parsed = Expression::parse(view(text));
  if (!parsed) return parsed.status().with_context(what);
  out = std::move(*parsed);
  return Status::ok();
}

// "PLUGIN:SCHEME": whose it is, is known when all plugins have been initialised.
bool is_foreign(std::string_view name) {
  size_t colon = name.find(':');
  return colon != name.npos && colon > 0 && colon + 1 < name.size();
}

Status add_schemes(const postern_host& host, const postern_route_desc& desc, Route& route) {
  for (size_t i = 0; i < desc.schemes_len; ++i) {
    Route::SchemeUse use;
    const std::string name = copy(desc.schemes[i].scheme);
    for (const auto& scheme : host.registrations.schemes) {
      if (scheme->name() == name) use.scheme = scheme;
    }
    if (!use.scheme && is_foreign(name)) use.foreign = name;
    if (!use.scheme && use.foreign.empty()) return {Code::kInvalid, "unknown scheme '" + name + "'; add it before the route"};
    if (Status s = parse_into(desc.schemes[i].id_from, "id_from", use.id_from); !s) return s;
    route.schemes.push_back(std::move(use));
  }
  if (route.schemes.empty() && (desc.flags & POSTERN_ROUTE_UNSIGNED) == 0) {
    return {Code::kInvalid, "a route without schemes must say that it is unsigned"};
  }
  return Status::ok();
}

Reply::Returned to_returned(postern_status status) {
  switch (status) {
    case POSTERN_OK: return Reply::Returned::kDone;
    case POSTERN_PENDING: return Reply::Returned::kPending;
    default: return Reply::Returned::kFailed;
  }
}

// The plugin's reply handler as the core calls it, on a thread of the plugin's pool. `host` outlives the route.
ingest::ReplyHandler handler_of(const postern_host* host, postern_reply_handler function, void* user) {
  return [host, function, user](const std::shared_ptr<Reply>& reply) {
    log::Scope scope(reply->request_id(), host->name);
    ReplyHandles& handles = ReplyHandles::instance();
    postern_reply* handle = handles.add(reply, host->detached_replies);
    postern_status status = plugin::guarded({host->crash_number, plugin::EntryPoint::kReply},
                                             [&] { return function(host->self, user, handle_of(reply->request()), handle); });
    handles.on_return(handle);
    Reply::Returned how = to_returned(status);
    reply->on_return(how, how == Reply::Returned::kFailed ? plugin::to_status(status).message() : std::string());
  };
}

Status describe_kind(const postern_host& host, const postern_route_desc& desc, Route& route) {
  bool recorded = (desc.flags & POSTERN_ROUTE_RECORDED) != 0;
  if (desc.kind == POSTERN_ROUTE_EVENT) {
    bool replies = desc.reply != nullptr || recorded || desc.deadline_ms != 0;
    if (replies) return {Code::kInvalid, "an event route has no reply handler and no deadline"};
    return Status::ok();
  }
  if (desc.kind != POSTERN_ROUTE_REPLY && desc.kind != POSTERN_ROUTE_WEBSOCKET) return {Code::kInvalid, "unknown kind of route " + std::to_string(desc.kind)};
  if (desc.reply == nullptr) return {Code::kInvalid, "a reply route needs a reply handler"};
  if (desc.wait_ms != 0) return {Code::kInvalid, "a reply route has deadline_ms, not wait_ms"};
  const bool is_websocket = desc.kind == POSTERN_ROUTE_WEBSOCKET;
  if (is_websocket && recorded) return {Code::kInvalid, "a WebSocket's request is no event"};
  if (is_websocket && view(desc.method) != "GET") return {Code::kInvalid, "a WebSocket begins with GET"};
  route.kind = is_websocket ? Route::Kind::kWebsocket : Route::Kind::kReply;
  route.recorded = recorded;
  route.reply = handler_of(&host, desc.reply, desc.user);
  if (desc.deadline_ms != 0) route.deadline_ms = desc.deadline_ms;
  return Status::ok();
}

Status describe(const postern_host& host, const postern_route_desc& desc, Route& route) {
  if (Status s = describe_kind(host, desc, route); !s) return s;
  route.provider = host.name;
  route.method = copy(desc.method);
  route.path = copy(desc.path);
  route.rules.content_types = split_list(view(desc.content_types));
  route.max_body = std::min(desc.max_body, config::kMaxBody);
  route.wait_ms = desc.wait_ms;
  route.dedupe_window_ms = static_cast<int64_t>(std::min(desc.dedupe_window_ms, kLongestWindowMs));
  route.ordered = (desc.flags & POSTERN_ROUTE_UNORDERED) == 0;
  if (Status s = add_schemes(host, desc, route); !s) return s;
  if (Status s = parse_into(desc.type_from, "type_from", route.type_from); !s) return s;
  if (Status s = parse_into(desc.order_key_from, "order_key_from", route.order_key_from); !s) return s;
  if (Status s = parse_into(desc.content_from, "content_from", route.content_from); !s) return s;
  if (Status s = parse_into(desc.unsigned_id_from, "unsigned_id_from", route.unsigned_id_from); !s) return s;
  for (const std::string& text : split_list(view(desc.required))) {
    if (Status s = parse_into(borrow(text), "required", route.required.emplace_back()); !s) return s;
  }
  // Tells at once about a template that no router takes, or one that the plugin has already.
  http::Router router;
  for (const Route& other : host.registrations.routes) {
    if (Status s = router.add(other.method, other.path, 0); !s) return s;
  }
  return router.add(route.method, route.path, 0);
}

postern_status add(postern_host* host, const postern_route_desc* desc) {
  return contained([&]() -> postern_status {
    if (!in_init(host)) return fail(POSTERN_E_STATE, "routes are added in init");
    postern_route_desc theirs = sized(desc);
    Route route;
    if (Status s = describe(*host, theirs, route); !s) return refuse(host, s.with_context("route " + copy(theirs.path)));
    host->registrations.routes.push_back(std::move(route));
    return POSTERN_OK;
  });
}

postern_status add_sample(postern_host* host, const postern_sample_desc* desc) {
  return contained([&]() -> postern_status {
    if (!in_init(host)) return fail(POSTERN_E_STATE, "samples are added in init");
    postern_sample_desc theirs = sized(desc);
    if (theirs.name.len == 0) return fail(POSTERN_E_INVALID, "a sample needs a name");
    if (theirs.headers_len % 2 != 0) return fail(POSTERN_E_INVALID, "headers come in pairs of name and value");
    plugin::Sample sample{copy(theirs.name), copy(theirs.method), copy(theirs.target), copy(theirs.content_type), copy(theirs.body), {}};
    for (size_t i = 0; i < theirs.headers_len; i += 2) {
      sample.headers.emplace_back(copy(theirs.headers[i]), copy(theirs.headers[i + 1]));
    }
    host->registrations.samples.push_back(std::move(sample));
    return POSTERN_OK;
  });
}

}  // namespace

const void* routes() {
  static const postern_ext_routes table{add, add_sample};
  return &table;
}

}  // namespace postern::extension
