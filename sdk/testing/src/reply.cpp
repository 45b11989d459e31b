// Reply routes: from a request to the handler and its answer, at once or later. The second half of postern.http's table.
#include <algorithm>

#include "host_state.h"

namespace postern::testing {
namespace {

constexpr size_t kMaxReply = 4 * 1024 * 1024;  // bytes of an answer's headers and body

ReplyState& of(postern_reply* handle) { return *reinterpret_cast<ReplyState*>(handle); }

// With the mutex held. False, and noted, when the plugin has no right to the handle any more.
bool usable(ReplyState& reply, const char* what) {
  HostState& host = *reply.host;
  if (reply.ended != nullptr) {
    host.misuses.push_back(std::string(what) + " on a reply after " + reply.ended);
    return false;
  }
  if (!reply.replied.detached && reply.handler_thread != std::this_thread::get_id()) {
    host.misuses.push_back(std::string(what) + " on another thread without detach()");
  }
  return true;
}

// With the mutex held: the plugin used the handle up.
void end(ReplyState& reply, const char* what) {
  reply.ended = what;
  if (reply.replied.detached) reply.view->ended = std::string("after ") + what;
}

// The host frames the message, whatever the plugin says about it.
bool frames(std::string_view name) {
  static constexpr std::string_view kOwn[] = {"connection", "content-length", "date", "transfer-encoding", "x-request-id"};
  return std::any_of(std::begin(kOwn), std::end(kOwn), [&](std::string_view own) { return same_name(name, own); });
}

postern_status send(postern_reply* handle, uint32_t status, const postern_str* headers, size_t headers_len,
                    postern_str body) {
  ReplyState& reply = of(handle);
  std::lock_guard lock(reply.host->mutex);
  if (!usable(reply, "send()")) return POSTERN_E_GONE;
  if (reply.replied.status != 0) {
    end(reply, "send()");
    return POSTERN_E_GONE;
  }
  if (status < 200 || status > 599 || headers_len % 2 != 0) return POSTERN_E_INVALID;
  if (headers == nullptr && headers_len != 0) return POSTERN_E_INVALID;
  size_t bytes = body.len;
  std::vector<std::pair<std::string, std::string>> given;
  for (size_t i = 0; i < headers_len; i += 2) {
    if (!is_header(to_view(headers[i]), to_view(headers[i + 1]))) return POSTERN_E_INVALID;
    bytes += headers[i].len + headers[i + 1].len;
    if (!frames(to_view(headers[i]))) given.emplace_back(to_string(headers[i]), to_string(headers[i + 1]));
  }
  if (bytes > kMaxReply) return POSTERN_E_LIMIT;
  reply.replied.status = status;
  reply.replied.headers = std::move(given);
  reply.replied.body = to_string(body);
  reply.replied.sent = true;
  end(reply, "send()");
  reply.host->settled.notify_all();
  return POSTERN_OK;
}

postern_status detach(postern_reply* handle) {
  ReplyState& reply = of(handle);
  HostState& host = *reply.host;
  std::lock_guard lock(host.mutex);
  if (!usable(reply, "detach()")) return POSTERN_E_GONE;
  if (reply.replied.detached) {
    host.misuses.push_back("detach() on a reply that is detached");
    return POSTERN_E_STATE;
  }
  if (reply.replied.status != 0) return POSTERN_E_GONE;
  auto out = std::count_if(host.replies.begin(), host.replies.end(),
                           [](const ReplyState& other) { return other.replied.detached && other.ended == nullptr; });
  if (static_cast<size_t>(out) >= host.options.max_detached) return POSTERN_E_LIMIT;
  reply.replied.detached = true;
  return POSTERN_OK;
}

void drop(postern_reply* handle) {
  ReplyState& reply = of(handle);
  std::lock_guard lock(reply.host->mutex);
  if (!usable(reply, "drop()")) return;
  if (!reply.replied.detached) {
    reply.host->misuses.push_back("drop() on a reply that is not detached");
    return;
  }
  end(reply, "drop()");
  reply.host->answer_for_plugin(reply, 500, "the plugin dropped the reply");
}

postern_str public_url(postern_host* handle) {
  HostState& host = HostState::of(handle);
  std::lock_guard lock(host.mutex);
  if (host.phase == Phase::kCreating) host.misuses.push_back("public_url() in create");
  return to_abi(host.options.public_url);
}

uint32_t trusts_proxies(postern_host* handle) {
  HostState& host = HostState::of(handle);
  std::lock_guard lock(host.mutex);
  if (host.phase == Phase::kCreating) host.misuses.push_back("trusts_proxies() in create");
  return host.options.trusts_proxies ? 1 : 0;
}

std::vector<std::string> segments_of(std::string_view path) {
  std::vector<std::string> segments;
  while (!path.empty()) {
    path.remove_prefix(1);
    size_t end = std::min(path.find('/'), path.size());
    segments.emplace_back(path.substr(0, end));
    path.remove_prefix(end);
  }
  return segments;
}

// The parameters when the path is one of the template's; nothing otherwise.
std::optional<std::map<std::string, std::string>> match(std::string_view path_template, std::string_view path) {
  std::vector<std::string> wanted = segments_of(path_template), found = segments_of(path);
  if (wanted.size() != found.size()) return std::nullopt;
  std::map<std::string, std::string> parameters;
  for (size_t i = 0; i < wanted.size(); ++i) {
    bool parameter = wanted[i].starts_with('{') && wanted[i].ends_with('}');
    std::string segment = percent_decode(found[i]);
    if (parameter && !segment.empty()) {
      parameters[wanted[i].substr(1, wanted[i].size() - 2)] = segment;
    } else if (wanted[i] != segment) {
      return std::nullopt;
    }
  }
  return parameters;
}

// With the mutex held: the route for the request, whose path parameters are filled in; null when there is none. A
// template with fewer parameters is preferred.
const ReplyHandler* find_route(const HostState& host, Request& request, bool& is_handshake) {
  const ReplyHandler* handler = nullptr;
  std::map<std::string, std::string> best;
  std::string_view path = std::string_view(request.target).substr(0, request.target.find('?'));
  for (size_t i = 0; i < host.routes.size(); ++i) {
    const RouteDeclaration& route = host.routes[i];
    if (route.kind == POSTERN_ROUTE_EVENT || route.method != request.method) continue;
    auto parameters = match(route.path, path);
    if (!parameters || (handler != nullptr && parameters->size() >= best.size())) continue;
    handler = &host.reply_handlers[i];
    is_handshake = route.kind == POSTERN_ROUTE_WEBSOCKET;
    best = std::move(*parameters);
  }
  request.path_parameters.merge(best);
  return handler;
}

// With the mutex held: the handler has returned. What it did against the rules is noted.
void settle(ReplyState& reply, postern_status returned, std::string why) {
  HostState& host = *reply.host;
  Replied& replied = reply.replied;
  replied.returned = returned;
  if (replied.detached) {
    if (returned != POSTERN_PENDING) host.misuses.push_back("a detached reply, but not POSTERN_PENDING");
    return;
  }
  reply.view->ended = "after the reply handler";
  if (reply.ended == nullptr) reply.ended = "its handler returned";
  if (returned == POSTERN_PENDING) host.misuses.push_back("POSTERN_PENDING without detach()");
  if (returned == POSTERN_OK && replied.status == 0) host.misuses.push_back("POSTERN_OK without an answer");
  if (returned != POSTERN_OK && replied.sent) host.misuses.push_back("an answer was sent, but not POSTERN_OK returned");
  if (why.empty()) why = "the handler returned " + std::to_string(returned) + " without an answer";
  host.answer_for_plugin(reply, 500, std::move(why));
}

}  // namespace

// With the mutex held.
void HostState::answer_for_plugin(ReplyState& reply, uint32_t status, std::string why) {
  if (reply.replied.status != 0) return;
  reply.replied.status = status;
  reply.replied.error = std::move(why);
  settled.notify_all();
}

std::string Replied::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (same_name(key, name)) return value;
  }
  return {};
}

Replied FakeHost::reply(const Request& request) {
  HostState& s = *state_;
  ReplyState* reply = nullptr;
  ReplyHandler handler;
  {
    std::lock_guard lock(s.mutex);
    Replied refused;
    refused.status = s.instance == nullptr ? 503 : 404;
    refused.returned = s.instance == nullptr ? POSTERN_E_STATE : POSTERN_E_NOT_FOUND;
    refused.error = s.instance == nullptr ? "the plugin does not run" : "no reply route for " + request.target;
    Request whole = with_urls(s, request);
    bool is_handshake = false;
    const ReplyHandler* found = find_route(s, whole, is_handshake);
    if (s.instance == nullptr || found == nullptr) return refused;
    handler = *found;
    reply = &s.replies.emplace_back();
    reply->host = &s;
    reply->is_handshake = is_handshake;
    reply->view = &s.view_of(std::move(whole));
    reply->handler_thread = std::this_thread::get_id();
    reply->replied.reply = s.replies.size();
    s.take_error();
  }
  postern_status returned =
      handler.call(s.instance, handler.user, reinterpret_cast<const postern_request*>(reply->view),
                   reinterpret_cast<postern_reply*>(reply));
  std::lock_guard lock(s.mutex);
  settle(*reply, returned, s.take_error());
  return reply->replied;
}

Replied FakeHost::await_reply(size_t number, std::chrono::milliseconds limit) {
  HostState& s = *state_;
  std::unique_lock lock(s.mutex);
  if (number == 0 || number > s.replies.size()) {
    Replied unknown;
    unknown.returned = POSTERN_E_NOT_FOUND;
    unknown.error = "no such reply";
    return unknown;
  }
  ReplyState& reply = s.replies[number - 1];
  s.settled.wait_for(lock, limit, [&] { return reply.replied.status != 0; });
  return reply.replied;
}

void FakeHost::expire_reply(size_t number) {
  HostState& s = *state_;
  std::lock_guard lock(s.mutex);
  if (number == 0 || number > s.replies.size()) return;
  s.answer_for_plugin(s.replies[number - 1], 504, "the deadline passed");
}

const postern_ext_http kHttp = {
    &request_method,         &request_target, &request_body, &request_remote, &request_header, &request_path_parameter,
    &request_form_parameter, &request_url,    &public_url,   &trusts_proxies, &send,           &detach,
    &drop};

}  // namespace postern::testing
