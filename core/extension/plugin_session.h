// PluginSession: a WebSocket session as a plugin has it: what postern_session* stands for. It begins with a stream that a client was
// promised, or with a connector; it calls the plugin on its lane's thread alone, and is gone when ended() has returned, and the call
// in which the plugin was handed it (core/plugin/kept.h).
// Thread-safety: the lane's thread, but where a member says otherwise.
#pragma once

#include <postern/ext/websocket.h>

#include <memory>
#include <string>

#include "core/http/upgraded.h"
#include "core/plugin/host.h"
#include "core/plugin/session_lanes.h"
#include "core/websocket/connector.h"
#include "core/websocket/session.h"

namespace postern::extension {

class PluginSession final : public plugin::SessionLanes::Session,
                            public websocket::Session::Handler,
                            public std::enable_shared_from_this<PluginSession> {
 public:
  using Lane = plugin::SessionLanes::Lane;

  // Any thread. `plugin` keeps the instance at work as long as the session lives.
  static std::shared_ptr<PluginSession> make(postern_host& host, Lane& lane, const postern_session_calls& calls, void* user,
                                             const websocket::Limits& limits, std::shared_ptr<const void> plugin);
  ~PluginSession() override;

  // One of the two, once, on any thread: it begins in a turn to come.
  void begin(http::Upgraded upgraded);
  void begin(websocket::Destination destination);
  // Instead: it never will. Any thread.
  void give_up(std::string reason);

  Lane& lane() const { return lane_; }
  uint64_t number() const { return number_; }
  Status send(websocket::Kind kind, std::string_view data, websocket::Class what);
  void close(uint16_t code, std::string_view reason) override;
  size_t buffered() const { return session_ ? session_->buffered() : 0; }
  uint64_t dropped() const { return session_ ? session_->dropped() : 0; }
  uint64_t discard_media() { return session_ ? session_->discard_media() : 0; }
  void pause();
  void resume();
  void arm(uint32_t ms);
  void wake() override;
  void abort(std::string_view reason) override;

 private:
  PluginSession(postern_host& host, Lane& lane, const postern_session_calls& calls, void* user, const websocket::Limits& limits,
                std::shared_ptr<const void> plugin);
  void on_message(websocket::Session& session, websocket::Kind kind, std::string_view data) override;
  void on_writable(websocket::Session& session) override;
  void on_ended(websocket::Session& session, const websocket::Ending& ending) override;
  void on_connected(websocket::Connector::Outcome outcome);
  void open(std::shared_ptr<websocket::Session> session);
  void end(const websocket::Ending& ending, int http_status);
  template <typename Call>
  void call_plugin(Call call);
  postern_session* handle() { return reinterpret_cast<postern_session*>(this); }

  postern_host& host_;
  Lane& lane_;
  const postern_session_calls calls_;
  void* const user_;
  const websocket::Limits limits_;
  std::shared_ptr<const void> plugin_;
  uint64_t number_ = 0;
  http::ConnectionCounts::Slot slot_;
  std::shared_ptr<websocket::Connector> connector_;
  std::shared_ptr<websocket::Session> session_;
  net::Timer timer_;
  int http_status_ = 0;
  bool opened_ = false, ended_ = false;
  bool woken_early_ = false;  // opened() comes first: told then
  std::shared_ptr<PluginSession> self_;  // until it has ended
};

inline PluginSession& session_of(postern_session* handle) { return *reinterpret_cast<PluginSession*>(handle); }
inline const PluginSession& session_of(const postern_session* handle) { return *reinterpret_cast<const PluginSession*>(handle); }

}  // namespace postern::extension
