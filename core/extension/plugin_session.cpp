#include "core/extension/plugin_session.h"

#include <utility>

#include "core/base/log.h"
#include "core/extension/convert.h"
#include "core/plugin/crash_record.h"

namespace postern::extension {

using websocket::Class;
using websocket::Ending;
using websocket::Kind;

std::shared_ptr<PluginSession> PluginSession::make(postern_host& host, Lane& lane, const postern_session_calls& calls, void* user,
                                                   const websocket::Limits& limits, std::shared_ptr<const void> plugin) {
  std::shared_ptr<PluginSession> made(new PluginSession(host, lane, calls, user, limits, std::move(plugin)));
  made->self_ = made;
  made->number_ = host.sessions.add(lane, made);
  return made;
}

PluginSession::PluginSession(postern_host& host, Lane& lane, const postern_session_calls& calls, void* user,
                             const websocket::Limits& limits, std::shared_ptr<const void> plugin)
    : host_(host),
      lane_(lane),
      calls_(calls),
      user_(user),
      limits_(limits),
      plugin_(std::move(plugin)),
      timer_([this] {
        auto self = shared_from_this();
        if (calls_.timer != nullptr && !ended_) call_plugin([this] { calls_.timer(host_.self, user_, handle()); });
      }) {}

PluginSession::~PluginSession() = default;

template <typename Call>
void PluginSession::call_plugin(Call call) {
  log::PluginScope scope(host_.name);
  plugin::Inside inside({host_.crash_number, plugin::EntryPoint::kSession});
  contained([&] {
    call();
    return POSTERN_OK;
  });
}

// ---- begin

// A std::function must be copyable: what was given away travels in a shared box.
void PluginSession::begin(http::Upgraded upgraded) {
  auto box = std::make_shared<http::Upgraded>(std::move(upgraded));
  lane_.loop.post([self = shared_from_this(), box] {
    if (self->ended_) return;
    self->slot_ = std::move(box->slot);
    self->open(websocket::Session::start(self->lane_.loop, std::move(box->stream), websocket::Role::kServer, self->limits_, *self, std::move(box->first)));
  });
}

void PluginSession::begin(websocket::Destination destination) {
  auto box = std::make_shared<websocket::Destination>(std::move(destination));
  lane_.loop.post([self = shared_from_this(), box] {
    if (self->ended_) return;
    auto on_outcome = [weak = self->weak_from_this()](websocket::Connector::Outcome outcome) {
      if (auto waiting = weak.lock()) waiting->on_connected(std::move(outcome));
    };
    self->connector_ =
        websocket::Connector::start(self->lane_.loop, self->host_.sessions.resolver(), std::move(*box), self->limits_, *self, std::move(on_outcome));
  });
}

void PluginSession::give_up(std::string reason) {
  lane_.loop.post([self = shared_from_this(), reason = std::move(reason)] { self->abort(reason); });
}

void PluginSession::on_connected(websocket::Connector::Outcome outcome) {
  connector_.reset();
  http_status_ = outcome.http_status;
  if (!outcome.session) return end({websocket::kLost, outcome.status.message(), false}, http_status_);
  open(std::move(outcome.session));
}

void PluginSession::open(std::shared_ptr<websocket::Session> session) {
  session_ = std::move(session);
  opened_ = true;
  if (calls_.opened != nullptr) call_plugin([this] { calls_.opened(host_.self, user_, handle()); });
  if (std::exchange(woken_early_, false)) wake();
}

// ---- what comes

void PluginSession::on_message(websocket::Session&, Kind kind, std::string_view data) {
  if (calls_.message == nullptr) return;
  const uint32_t theirs = kind == Kind::kText ? POSTERN_MESSAGE_TEXT : POSTERN_MESSAGE_BINARY;
  call_plugin([&] { calls_.message(host_.self, user_, handle(), theirs, borrow(data)); });
}

void PluginSession::on_writable(websocket::Session&) {
  if (calls_.writable != nullptr) call_plugin([this] { calls_.writable(host_.self, user_, handle()); });
}

void PluginSession::wake() {
  if (!opened_) {
    woken_early_ = true;
    return;
  }
  auto self = shared_from_this();
  if (calls_.woken != nullptr && !ended_) call_plugin([this] { calls_.woken(host_.self, user_, handle()); });
}

void PluginSession::on_ended(websocket::Session&, const Ending& ending) { end(ending, http_status_); }

// ---- what goes

Status PluginSession::send(Kind kind, std::string_view data, Class what) {
  if (!session_) return {Code::kGone, "the session is not open"};
  return session_->send(kind, data, what);
}

void PluginSession::close(uint16_t code, std::string_view reason) {
  if (session_) return session_->close(code, reason);
  // It never opened. Not from inside the call that asks for it: a plugin's own calls do not nest.
  give_up(std::string(reason));
}

void PluginSession::pause() {
  if (session_) session_->pause();
}

void PluginSession::resume() {
  if (session_) session_->resume();
}

void PluginSession::arm(uint32_t ms) {
  if (ms == 0 || ended_) return timer_.cancel();
  lane_.loop.timers().arm(timer_, lane_.loop.now_ms() + ms);
}

// ---- end

void PluginSession::abort(std::string_view reason) {
  auto self = shared_from_this();
  if (session_) return session_->abort(reason);
  end({websocket::kLost, std::string(reason), false}, 0);
}

void PluginSession::end(const Ending& ending, int http_status) {
  if (std::exchange(ended_, true)) return;
  auto self = shared_from_this();
  timer_.cancel();
  if (connector_) std::exchange(connector_, nullptr)->cancel();
  postern_session_end theirs{};
  theirs.struct_size = sizeof theirs;
  theirs.code = ending.code;
  theirs.by_peer = ending.by_peer ? 1 : 0;
  theirs.http_status = static_cast<uint32_t>(http_status);
  theirs.dropped = dropped();
  theirs.reason = borrow(ending.reason);
  if (calls_.ended != nullptr) call_plugin([&] { calls_.ended(host_.self, user_, handle(), &theirs); });
  if (session_) lane_.let_leave(session_);
  host_.sessions.remove(number_);
  session_.reset();
  slot_ = {};
  plugin_.reset();  // the instance may end now
  self_.reset();
}

}  // namespace postern::extension
