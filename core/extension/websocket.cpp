// postern.websocket/1
#include <postern/ext/websocket.h>

#include <algorithm>

#include "core/base/log.h"
#include "core/extension/convert.h"
#include "core/extension/plugin_session.h"
#include "core/extension/reply_handles.h"
#include "core/extension/table.h"
#include "core/http/characters.h"
#include "core/plugin/kept.h"

namespace postern::extension {
namespace {

using websocket::Class;
using websocket::Kind;

static_assert(websocket::kSilent == POSTERN_REASON_SILENT);

constexpr size_t kMaxQueued = 64 << 20, kMaxMessage = 64 << 20;

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> parts;
  while (!list.empty()) {
    const size_t comma = list.find(',');
    const std::string_view part = http::trim_white_space(list.substr(0, comma));
    if (!part.empty()) parts.emplace_back(part);
    list.remove_prefix(comma == list.npos ? list.size() : comma + 1);
  }
  return parts;
}

websocket::Limits limits_of(const postern_session_limits& theirs) {
  websocket::Limits ours;
  if (theirs.ping_ms != 0) ours.ping_ms = theirs.ping_ms;
  if (theirs.max_message != 0) ours.max_message = std::min<uint64_t>(theirs.max_message, kMaxMessage);
  if (theirs.max_queued != 0) ours.max_queued = std::min<uint64_t>(theirs.max_queued, kMaxQueued);
  return ours;
}

// The session may end, on its own thread, before the caller has looked at the handle.
postern_session* hand_out(const std::shared_ptr<PluginSession>& session) {
  plugin::Kept::keep(session);
  return reinterpret_cast<postern_session*>(session.get());
}

// Where the client has gone, the taker is destroyed without a call: the plugin waits for its session.
http::Taker taker_for(std::shared_ptr<PluginSession> session) {
  struct Promise {
    std::shared_ptr<PluginSession> session;
    ~Promise() {
      if (session) session->give_up("the client has gone");
    }
  };
  auto promise = std::make_shared<Promise>();
  promise->session = std::move(session);
  return [promise](http::Upgraded upgraded) {
    if (auto session = std::move(promise->session)) session->begin(std::move(upgraded));
  };
}

postern_status accept(postern_host* host, postern_reply* handle, postern_str protocols, const postern_session_limits* limits,
                      const postern_session_calls* calls, void* user, postern_session** session) {
  return contained([&]() -> postern_status {
    ReplyHandles& handles = ReplyHandles::instance();
    auto reply = handles.find(handle);
    auto plugin = reply ? reply->plugin() : nullptr;
    if (!plugin) return fail(POSTERN_E_GONE, "the reply was given back before");
    if (calls == nullptr) return fail(POSTERN_E_INVALID, "a session needs calls");
    auto place = host->sessions.choose();
    if (!place) return to_abi(place.status());
    auto made = PluginSession::make(*host, place->lane(), sized(calls), user, limits_of(sized(limits)), std::move(plugin));
    if (session != nullptr) *session = hand_out(made);
    Status accepted = reply->accept(split(view(protocols)), taker_for(made));
    handles.release_detached(handle);
    return to_abi(accepted);
  });
}

// Framing and the handshake are the host's own; what would steer them is refused.
Status read_headers(const postern_connect_desc& theirs, websocket::Headers& headers) {
  if (theirs.headers_len % 2 != 0 || (theirs.headers == nullptr && theirs.headers_len > 0)) {
    return {Code::kInvalid, "headers come in pairs of name and value"};
  }
  for (size_t i = 0; i < theirs.headers_len; i += 2) {
    const std::string_view name = view(theirs.headers[i]), value = view(theirs.headers[i + 1]);
    if (name.empty() || !http::all_chars(name, http::kTokenChar) || !http::all_chars(value, http::kFieldChar)) {
      return {Code::kInvalid, "not a header: a name that is no token, or a control character in a value"};
    }
    for (const char* own : {"host", "upgrade", "connection", "content-length", "transfer-encoding", "sec-websocket-key", "sec-websocket-version",
                            "sec-websocket-protocol", "sec-websocket-extensions"}) {
      if (http::equals_ignoring_case(name, own)) return {Code::kInvalid, "the header " + std::string(name) + " is the host's own"};
    }
    headers.emplace_back(name, value);
  }
  return Status::ok();
}

Status read_destination(postern_host& host, const postern_connect_desc& theirs, websocket::Destination& destination) {
  auto url = websocket::parse_url(view(theirs.url));
  if (!url) return url.status().with_context("the URL");
  destination.url = std::move(*url);
  if (theirs.proxy.len > 0) {
    auto proxy = websocket::parse_proxy(view(theirs.proxy));
    if (!proxy) return proxy.status().with_context("the proxy");
    destination.proxy = std::move(*proxy);
  }
  if (destination.url.secure) {
    auto trust = host.sessions.trust(copy(theirs.ca_file));
    if (!trust) return trust.status().with_context("ca_file");
    destination.trust = std::move(*trust);
  }
  destination.protocols = split(view(theirs.protocols));
  if (theirs.connect_ms != 0) destination.connect_ms = theirs.connect_ms;
  return read_headers(theirs, destination.headers);
}

postern_status connect(postern_host* host, const postern_connect_desc* desc, const postern_session_calls* calls, void* user,
                       postern_session* beside, postern_session** session) {
  return contained([&]() -> postern_status {
    if (calls == nullptr) return fail(POSTERN_E_INVALID, "a session needs calls");
    auto plugin = host->generation.lock();
    if (!plugin || host->phase != postern_host::Phase::kActive) return fail(POSTERN_E_STATE, "the plugin is not active");
    const postern_connect_desc theirs = sized(desc);
    websocket::Destination destination;
    if (Status s = read_destination(*host, theirs, destination); !s) return to_abi(s);
    auto place = host->sessions.choose();
    if (!place) return to_abi(place.status());
    plugin::SessionLanes::Lane& at = beside == nullptr ? place->lane() : session_of(beside).lane();
    auto made = PluginSession::make(*host, at, sized(calls), user, limits_of(theirs.limits), std::move(plugin));
    if (session != nullptr) *session = hand_out(made);
    made->begin(std::move(destination));
    return POSTERN_OK;
  });
}

postern_status trust(postern_host* host, postern_str ca_file) {
  return contained([&]() -> postern_status {
    if (!in_init(host)) return fail(POSTERN_E_STATE, "whom to trust is read in init");
    const auto read = host->sessions.trust(copy(ca_file));
    if (!read) log::error("whom a plugin trusts cannot be read", {{"ca_file", copy(ca_file)}, {"error", read.status().message()}});
    return to_abi(read.status());
  });
}

postern_status send(postern_session* handle, uint32_t kind, uint32_t flags, postern_str data) {
  return contained([&]() -> postern_status {
    if (kind != POSTERN_MESSAGE_TEXT && kind != POSTERN_MESSAGE_BINARY) return fail(POSTERN_E_INVALID, "the kind of message is unknown");
    const Class what = (flags & POSTERN_SEND_MEDIA) != 0 ? Class::kMedia : Class::kControl;
    return to_abi(session_of(handle).send(kind == POSTERN_MESSAGE_TEXT ? Kind::kText : Kind::kBinary, view(data), what));
  });
}

void close(postern_session* handle, uint32_t code, postern_str reason) {
  contained([&] {
    const bool fit = code <= UINT16_MAX && websocket::is_close_code(static_cast<uint16_t>(code));
    session_of(handle).close(fit ? static_cast<uint16_t>(code) : uint16_t{websocket::kInternalError}, view(reason));
    return POSTERN_OK;
  });
}

}  // namespace

const void* websocket_sessions() {
  static const postern_ext_websocket table = [] {
    postern_ext_websocket t{};
    t.accept = accept;
    t.connect = connect;
    t.send = send;
    t.close = close;
    t.buffered = [](const postern_session* s) { return session_of(s).buffered(); };
    t.dropped = [](const postern_session* s) { return session_of(s).dropped(); };
    t.pause = [](postern_session* s) { session_of(s).pause(); };
    t.resume = [](postern_session* s) { session_of(s).resume(); };
    t.arm = [](postern_session* s, uint32_t ms) { session_of(s).arm(ms); };
    t.id = [](const postern_session* s) { return session_of(s).number(); };
    t.wake = [](postern_host* host, uint64_t id) { return contained([&] { return to_abi(host->sessions.wake(id)); }); };
    t.trust = trust;
    t.discard_media = [](postern_session* s) { return session_of(s).discard_media(); };
    return t;
  }();
  return &table;
}

}  // namespace postern::extension
