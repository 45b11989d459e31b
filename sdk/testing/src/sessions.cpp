// WebSocket sessions: the test is the peer, and plays the thread of a session as well. The table of postern.websocket.
#include <unistd.h>

#include <algorithm>

#include "host_state.h"

namespace postern::testing {
namespace {

// Which end of a session a call came to. Noted when the handle is used outside the session's calls, or after ended().
SessionState& of(const postern_session* handle) {
  return *const_cast<SessionState*>(reinterpret_cast<const SessionState*>(handle));
}

// With the mutex held.
bool usable(SessionState& session, const char* what) {
  if (!session.gone) return true;
  session.host->misuses.push_back(std::string(what) + " on a session after ended()");
  return false;
}

SessionState& make_session(HostState& host, const postern_session_calls* calls, void* user, const postern_session_limits* limits) {
  SessionState& session = host.sessions.emplace_back();
  session.host = &host;
  session.calls = read_sized(calls);
  session.user = user;
  if (limits != nullptr) session.view.limits = {read_sized(limits).ping_ms, read_sized(limits).max_message, read_sized(limits).max_queued};
  session.view.session = host.sessions.size();
  return session;
}

postern_status accept(postern_host* handle, postern_reply* reply_handle, postern_str protocols, const postern_session_limits* limits,
                      const postern_session_calls* calls, void* user, postern_session** made) {
  HostState& host = HostState::of(handle);
  std::lock_guard lock(host.mutex);
  ReplyState& reply = *reinterpret_cast<ReplyState*>(reply_handle);
  if (reply.ended != nullptr || reply.replied.status != 0) return POSTERN_E_GONE;
  if (calls == nullptr) return POSTERN_E_INVALID;
  if (!reply.is_handshake) {
    host.misuses.push_back("accept() on a request that asks for no WebSocket");
    return POSTERN_E_INVALID;
  }
  if (host.sessions.size() >= host.options.max_sessions) return POSTERN_E_LIMIT;
  SessionState& session = make_session(host, calls, user, limits);
  session.view.protocols = to_string(protocols);
  *made = reinterpret_cast<postern_session*>(&session);
  reply.replied.status = 101;
  reply.replied.session = session.view.session;
  reply.replied.sent = true;
  reply.ended = "accept()";
  host.settled.notify_all();
  return POSTERN_OK;
}

postern_status connect(postern_host* handle, const postern_connect_desc* theirs, const postern_session_calls* calls, void* user,
                       postern_session* beside, postern_session** made) {
  HostState& host = HostState::of(handle);
  std::lock_guard lock(host.mutex);
  if (host.phase != Phase::kReady) return POSTERN_E_STATE;
  postern_connect_desc d = read_sized(theirs);
  std::string url = to_string(d.url);
  if (calls == nullptr || d.headers_len % 2 != 0) return POSTERN_E_INVALID;
  if (!url.starts_with("ws://") && !url.starts_with("wss://")) {
    host.errors[std::this_thread::get_id()] = "the URL: it begins with neither wss:// nor ws://";
    return POSTERN_E_INVALID;
  }
  if (host.sessions.size() >= host.options.max_sessions) return POSTERN_E_LIMIT;
  SessionState& session = make_session(host, calls, user, &d.limits);
  SessionView& view = session.view;
  view.is_client = true;
  view.url = std::move(url);
  view.protocols = to_string(d.protocols);
  view.ca_file = to_string(d.ca_file);
  view.proxy = to_string(d.proxy);
  view.connect_ms = d.connect_ms;
  for (size_t i = 0; i < d.headers_len; i += 2) view.headers.emplace_back(to_string(d.headers[i]), to_string(d.headers[i + 1]));
  if (beside != nullptr && usable(of(beside), "connect() beside")) view.beside = of(beside).view.session;
  if (made != nullptr) *made = reinterpret_cast<postern_session*>(&session);
  return POSTERN_OK;
}

postern_status send(postern_session* handle, uint32_t kind, uint32_t flags, postern_str data) {
  SessionState& session = of(handle);
  std::lock_guard lock(session.host->mutex);
  if (!usable(session, "send()") || !session.view.open || session.view.closed) return POSTERN_E_GONE;
  if (kind != POSTERN_MESSAGE_TEXT && kind != POSTERN_MESSAGE_BINARY) return POSTERN_E_INVALID;
  session.sent.push_back({kind, (flags & POSTERN_SEND_MEDIA) != 0, to_string(data)});
  return POSTERN_OK;
}

void close(postern_session* handle, uint32_t code, postern_str reason) {
  SessionState& session = of(handle);
  std::lock_guard lock(session.host->mutex);
  if (!usable(session, "close()") || session.view.closed) return;
  session.view.closed = SessionClosed{code, to_string(reason)};
  session.view.armed_ms.reset();
}

postern_status trust(postern_host* handle, postern_str ca_file) {
  HostState& host = HostState::of(handle);
  std::lock_guard lock(host.mutex);
  if (host.phase != Phase::kInit) return POSTERN_E_STATE;
  const std::string file = to_string(ca_file);
  if (file.empty() || ::access(file.c_str(), R_OK) == 0) return POSTERN_OK;
  host.errors[std::this_thread::get_id()] = file + ": cannot be read";
  return POSTERN_E_INVALID;
}

uint64_t discard_media(postern_session* handle) {
  SessionState& session = of(handle);
  std::lock_guard lock(session.host->mutex);
  ++session.view.discards;
  return 0;  // a message is sent as soon as the plugin says so
}

void set_paused(postern_session* handle, bool paused) {
  SessionState& session = of(handle);
  std::lock_guard lock(session.host->mutex);
  if (usable(session, "pause() or resume()")) session.view.paused = paused;
}

void arm(postern_session* handle, uint32_t ms) {
  SessionState& session = of(handle);
  std::lock_guard lock(session.host->mutex);
  if (!usable(session, "arm()")) return;
  session.view.armed_ms = ms == 0 ? std::nullopt : std::optional<int64_t>(session.host->time_ms + ms);
}

postern_status wake(postern_host* handle, uint64_t id) {
  HostState& host = HostState::of(handle);
  std::lock_guard lock(host.mutex);
  if (id == 0 || id > host.sessions.size() || host.sessions[id - 1].gone) return POSTERN_E_GONE;
  host.sessions[id - 1].wakes = true;
  return POSTERN_OK;
}

template <typename Value>
Value read(const postern_session* handle, const char* what, Value (*value)(const SessionState&)) {
  SessionState& session = of(handle);
  std::lock_guard lock(session.host->mutex);
  return usable(session, what) ? value(session) : Value{};
}

// The session, while it lives; null, and noted, otherwise.
SessionState* find(HostState& s, size_t number, const char* what) {
  std::lock_guard lock(s.mutex);
  if (number == 0 || number > s.sessions.size() || s.sessions[number - 1].gone || s.instance == nullptr) {
    s.misuses.push_back(std::string("the test: ") + what + " on session " + std::to_string(number) + ", which is not there");
    return nullptr;
  }
  return &s.sessions[number - 1];
}

postern_session* handle_of(SessionState* session) { return reinterpret_cast<postern_session*>(session); }

}  // namespace

void FakeHost::open(size_t number) {
  SessionState* session = find(*state_, number, "open()");
  if (session == nullptr) return;
  {
    std::lock_guard lock(state_->mutex);
    session->view.open = true;
  }
  if (session->calls.opened != nullptr) session->calls.opened(state_->instance, session->user, handle_of(session));
}

void FakeHost::receive(size_t number, std::string_view data, uint32_t kind) {
  SessionState* session = find(*state_, number, "receive()");
  if (session == nullptr || session->calls.message == nullptr) return;
  const std::string copied(data);  // as long as the call, no longer
  session->calls.message(state_->instance, session->user, handle_of(session), kind, to_abi(copied));
}

void FakeHost::writable(size_t number) {
  SessionState* session = find(*state_, number, "writable()");
  if (session != nullptr && session->calls.writable != nullptr) session->calls.writable(state_->instance, session->user, handle_of(session));
}

void FakeHost::end(size_t number, const SessionEnded& ended) {
  SessionState* session = find(*state_, number, "end()");
  if (session == nullptr) return;
  postern_session_end end{};
  end.struct_size = sizeof end;
  end.code = ended.code;
  end.by_peer = ended.by_peer ? 1 : 0;
  end.http_status = ended.http_status;
  end.dropped = ended.dropped;
  end.reason = to_abi(ended.reason);
  if (session->calls.ended != nullptr) session->calls.ended(state_->instance, session->user, handle_of(session), &end);
  std::lock_guard lock(state_->mutex);
  session->view.open = false;
  session->view.ended = session->gone = true;
  session->view.armed_ms.reset();
}

// Those that they wake run as well, the first woken first.
size_t FakeHost::run_wakes() {
  for (size_t ran = 0;; ++ran) {
    SessionState* next = nullptr;
    {
      std::lock_guard lock(state_->mutex);
      for (SessionState& session : state_->sessions) {
        if (!session.wakes || session.gone) continue;
        next = &session;
        break;
      }
      if (next == nullptr || state_->instance == nullptr) return ran;
      next->wakes = false;
    }
    if (next->calls.woken != nullptr) next->calls.woken(state_->instance, next->user, handle_of(next));
  }
}

void FakeHost::set_buffered(size_t number, size_t bytes) {
  if (SessionState* session = find(*state_, number, "set_buffered()")) session->buffered = bytes;
}

std::vector<SessionMessage> FakeHost::take_sent(size_t number) {
  std::lock_guard lock(state_->mutex);
  if (number == 0 || number > state_->sessions.size()) return {};
  return std::exchange(state_->sessions[number - 1].sent, {});
}

SessionView FakeHost::session(size_t number) const {
  std::lock_guard lock(state_->mutex);
  return number == 0 || number > state_->sessions.size() ? SessionView() : state_->sessions[number - 1].view;
}

size_t FakeHost::session_count() const {
  std::lock_guard lock(state_->mutex);
  return state_->sessions.size();
}

std::vector<SessionView> FakeHost::sessions() const {
  std::lock_guard lock(state_->mutex);
  std::vector<SessionView> views;
  for (const SessionState& session : state_->sessions) views.push_back(session.view);
  return views;
}

// The timer of a session that is due first, by `until_ms`: disarmed. Null when none is.
SessionState* HostState::due_session(int64_t until_ms) {
  SessionState* first = nullptr;
  for (SessionState& session : sessions) {
    const auto& at = session.view.armed_ms;
    if (session.gone || !at || *at > until_ms || (first != nullptr && *first->view.armed_ms <= *at)) continue;
    first = &session;
  }
  return first;
}

void HostState::run_timer(SessionState& session) {
  if (session.calls.timer != nullptr) session.calls.timer(instance, session.user, handle_of(&session));
}

const postern_ext_websocket kWebsocket = {
    &accept,
    &connect,
    &send,
    &close,
    [](const postern_session* s) { return read<size_t>(s, "buffered()", [](const SessionState& session) { return session.buffered; }); },
    [](const postern_session* s) { return read<uint64_t>(s, "dropped()", [](const SessionState&) { return uint64_t{0}; }); },
    [](postern_session* s) { set_paused(s, true); },
    [](postern_session* s) { set_paused(s, false); },
    &arm,
    [](const postern_session* s) { return read<uint64_t>(s, "id()", [](const SessionState& session) -> uint64_t { return session.view.session; }); },
    &wake,
    &discard_media,
    &trust,
};

}  // namespace postern::testing
