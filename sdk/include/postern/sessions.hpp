// postern/sessions.hpp - WebSocket sessions, as a server and as a client. Part of plugin.hpp.
//
//   class Echo final : public postern::SessionHandler {
//     void message(postern::Session& session, postern::MessageKind, std::string_view text) override { session.send(text); }
//   };
//
//   setup.websocket({.path = "/echo", .schemes = {{"hmac"}}}, [](postern::Handshake& handshake) -> std::optional<postern::Response> {
//     if (full()) return postern::Response{.status = 503};
//     handshake.accept(std::make_unique<Echo>());
//     return std::nullopt;
//   });
//
//   sessions_ = setup.sessions();                                                        // in init
//   sessions_.connect({.url = "wss://example.com/feed"}, std::make_unique<Feed>());      // later
//
// A session belongs to one thread of the gateway, on which its handler is called, one call after the other; so do those that were connected
// `beside` it: what belongs together needs no lock. A call must not wait, since other sessions share the thread.
// Errors: an exception of a handler is logged, and the session closed with 1011. Threads: a Sessions is a plain value for any thread, from
// activate on; a Session is used on its own thread only.
#pragma once

#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "request.hpp"

namespace postern::inline sdk {

enum class MessageKind : uint32_t { kText = POSTERN_MESSAGE_TEXT, kBinary = POSTERN_MESSAGE_BINARY };

// postern_session_end: see ext/websocket.h.
struct SessionEnd {
  uint32_t code = 0;
  bool by_peer = false;
  uint32_t http_status = 0;
  uint64_t dropped = 0;
  std::string_view reason = {};

  // The peer answered no ping.
  bool silent() const { return !by_peer && reason == POSTERN_REASON_SILENT; }
};

// postern_session_limits: see ext/websocket.h. What is left out is the host's default.
struct SessionLimits {
  milliseconds ping = {};
  uint64_t max_message = 0;
  uint64_t max_queued = 0;
};

// A session, good until its handler's ended() has returned. A plain value, for the session's thread.
class Session {
 public:
  Session() = default;
  Session(const postern_ext_websocket& table, postern_session* handle) : table_(&table), handle_(handle) {}

  // False: it is not open, or its peer has stopped taking anything and is closed. Copies the message.
  bool send(std::string_view text) { return send(POSTERN_MESSAGE_TEXT, 0, text); }
  bool send_binary(std::string_view bytes) { return send(POSTERN_MESSAGE_BINARY, 0, bytes); }
  // Worth something only in time: where it does not fit, the oldest of it is dropped, and counted.
  bool send_media(std::string_view text) { return send(POSTERN_MESSAGE_TEXT, POSTERN_SEND_MEDIA, text); }
  // Takes back the media that has not been sent yet. How many messages.
  uint64_t discard_media() { return table_->discard_media(handle_); }
  // Twice is fine.
  void close(uint32_t code = 1000, std::string_view reason = {}) { table_->close(handle_, code, to_abi(reason)); }

  size_t buffered() const { return table_->buffered(handle_); }    // bytes that wait to be taken by the peer
  uint64_t dropped() const { return table_->dropped(handle_); }    // messages of media
  void pause() { table_->pause(handle_); }                         // reads nothing more; one resume() ends it
  void resume() { table_->resume(handle_); }
  // timer() of the handler once, in place of what was asked for before; zero: not any more.
  void arm(milliseconds delay) {
    const int64_t most = std::numeric_limits<uint32_t>::max();
    table_->arm(handle_, static_cast<uint32_t>(std::min(most, std::max<int64_t>(0, delay.count()))));
  }
  uint64_t id() const { return table_->id(handle_); }  // for Sessions::wake()
  postern_session* handle() const { return handle_; }
  explicit operator bool() const { return handle_ != nullptr; }

 private:
  bool send(uint32_t kind, uint32_t flags, std::string_view data) {
    return handle_ != nullptr && table_->send(handle_, kind, flags, to_abi(data)) == POSTERN_OK;
  }

  const postern_ext_websocket* table_ = nullptr;
  postern_session* handle_ = nullptr;
};

// What a plugin does in a session. Destroyed after ended(), on the session's thread; the plugin's instance is there until then.
class SessionHandler {
 public:
  SessionHandler() = default;
  SessionHandler(const SessionHandler&) = delete;
  SessionHandler& operator=(const SessionHandler&) = delete;
  virtual ~SessionHandler() = default;

  virtual void opened(Session& session) { static_cast<void>(session); }
  virtual void message(Session& session, MessageKind kind, std::string_view data) = 0;
  virtual void writable(Session& session) { static_cast<void>(session); }
  virtual void timer(Session& session) { static_cast<void>(session); }
  virtual void woken(Session& session) { static_cast<void>(session); }
  virtual void ended(Session& session, const SessionEnd& end) { static_cast<void>(session), static_cast<void>(end); }
};

namespace detail {

// What stands behind the `user` of a session.
struct SessionSlot {
  HostTables tables;
  std::unique_ptr<SessionHandler> handler;

  template <typename Call>
  static void run(void* user, postern_session* handle, Call call) noexcept {
    auto& slot = *static_cast<SessionSlot*>(user);
    Session session(*slot.tables.websocket, handle);
    auto failed = [&](std::string_view why) {
      std::string text = "a session's handler failed: " + std::string(why);
      if (slot.tables.log != nullptr) slot.tables.log->write(slot.tables.host, POSTERN_LOG_ERROR, to_abi(text));
      session.close(1011, "internal error");
    };
    try {
      call(*slot.handler, session);
    } catch (const std::exception& error) {
      failed(error.what());
    } catch (...) {
      failed("unknown exception");
    }
  }
};

inline constexpr postern_session_calls kSessionCalls = {
    sizeof(postern_session_calls),
    0,
    [](postern_instance*, void* user, postern_session* handle) {
      SessionSlot::run(user, handle, [](SessionHandler& handler, Session& session) { handler.opened(session); });
    },
    [](postern_instance*, void* user, postern_session* handle, uint32_t kind, postern_str data) {
      SessionSlot::run(user, handle, [&](SessionHandler& handler, Session& session) {
        handler.message(session, static_cast<MessageKind>(kind), to_view(data));
      });
    },
    [](postern_instance*, void* user, postern_session* handle) {
      SessionSlot::run(user, handle, [](SessionHandler& handler, Session& session) { handler.writable(session); });
    },
    [](postern_instance*, void* user, postern_session* handle) {
      SessionSlot::run(user, handle, [](SessionHandler& handler, Session& session) { handler.timer(session); });
    },
    [](postern_instance*, void* user, postern_session* handle) {
      SessionSlot::run(user, handle, [](SessionHandler& handler, Session& session) { handler.woken(session); });
    },
    [](postern_instance*, void* user, postern_session* handle, const postern_session_end* end) {
      SessionSlot::run(user, handle, [&](SessionHandler& handler, Session& session) {
        handler.ended(session, {end->code, end->by_peer != 0, end->http_status, end->dropped, to_view(end->reason)});
      });
      delete static_cast<SessionSlot*>(user);
    },
};

inline postern_session_limits borrow_limits(const SessionLimits& limits) {
  const int64_t most = std::numeric_limits<uint32_t>::max();
  postern_session_limits abi{};
  abi.struct_size = sizeof abi;
  abi.ping_ms = static_cast<uint32_t>(std::min(most, std::max<int64_t>(0, limits.ping.count())));
  abi.max_message = limits.max_message;
  abi.max_queued = limits.max_queued;
  return abi;
}

// Once the host has made a session its ended() frees the slot, whatever the call returned.
inline void keep_until_ended(std::unique_ptr<SessionSlot>& slot, const postern_session* made) {
  if (made != nullptr) static_cast<void>(slot.release());
}

}  // namespace detail

// A request for a WebSocket, which the handler of its route accepts, or answers as any other.
class Handshake : public Exchange {
 public:
  using Exchange::Exchange;

  // The client is told that the session begins; `handler` is called from then on, perhaps before this has returned. `protocols`:
  // "realtime, other", of which the first that the client offers is chosen. Throws Gone after the deadline, Error when there are too
  // many sessions: the request is still to be answered then.
  void accept(std::unique_ptr<SessionHandler> handler, const SessionLimits& limits = {}, std::string_view protocols = {}) {
    if (accepted_ || detached()) throw Error(POSTERN_E_STATE, "accept: the request was answered or detached already");
    const postern_ext_websocket& table = detail::need(tables_.websocket, POSTERN_EXT_WEBSOCKET);
    auto slot = std::make_unique<detail::SessionSlot>(detail::SessionSlot{tables_, std::move(handler)});
    const postern_session_limits bounds = detail::borrow_limits(limits);
    postern_session* made = nullptr;
    postern_status status =
        table.accept(tables_.host, reply_, to_abi(protocols), &bounds, &detail::kSessionCalls, slot.get(), &made);
    accepted_ = made != nullptr;
    detail::keep_until_ended(slot, made);
    detail::check(status, "accept");
  }
  bool accepted() const { return accepted_; }

 private:
  bool accepted_ = false;
};

// postern_connect_desc: see ext/websocket.h.
struct ConnectOptions {
  std::string_view url = {};
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::string_view protocols = {};
  std::string_view ca_file = {};
  std::string_view proxy = {};
  milliseconds connect = {};  // name, connection, proxy, TLS and handshake together
  SessionLimits limits = {};
};

// Sessions that the plugin begins. Setup::sessions() makes it.
class Sessions {
 public:
  Sessions() = default;
  explicit Sessions(const detail::HostTables& tables) : tables_(tables) {}

  // Does not wait: opened() or ended() comes later, never within this call. With `beside`, a session of the plugin, on that one's thread,
  // from which it must be called then. Throws Error for a URL, a header or a file that is wrong, and when there are too many sessions.
  // The session may have ended already: its id() may be asked for until the call into the plugin returns, and on a thread of the plugin's
  // own not at all: opened() has it.
  Session connect(const ConnectOptions& options, std::unique_ptr<SessionHandler> handler, const Session& beside = {}) const {
    const postern_ext_websocket& table = detail::need(tables_.websocket, POSTERN_EXT_WEBSOCKET);
    std::vector<postern_str> headers;
    for (const auto& [name, value] : options.headers) {
      headers.push_back(to_abi(name));
      headers.push_back(to_abi(value));
    }
    postern_connect_desc desc{};
    desc.struct_size = sizeof desc;
    desc.connect_ms = static_cast<uint32_t>(std::min<int64_t>(std::numeric_limits<uint32_t>::max(), options.connect.count()));
    desc.url = to_abi(options.url);
    desc.headers = headers.data();
    desc.headers_len = headers.size();
    desc.protocols = to_abi(options.protocols);
    desc.ca_file = to_abi(options.ca_file);
    desc.proxy = to_abi(options.proxy);
    desc.limits = detail::borrow_limits(options.limits);
    auto slot = std::make_unique<detail::SessionSlot>(detail::SessionSlot{tables_, std::move(handler)});
    postern_session* made = nullptr;
    postern_status status = table.connect(tables_.host, &desc, &detail::kSessionCalls, slot.get(), beside.handle(), &made);
    detail::keep_until_ended(slot, made);
    detail::check(status, "connect of a session");
    return {table, made};
  }

  // woken() of the session's handler, soon; from any thread. False: it has ended.
  bool wake(uint64_t id) const {
    return tables_.websocket != nullptr && tables_.websocket->wake(tables_.host, id) == POSTERN_OK;
  }

 private:
  detail::HostTables tables_;
};

}  // namespace postern::inline sdk
