#include "core/ingest/reply.h"

#include <utility>

#include "core/base/log.h"
#include "core/websocket/handshake.h"

namespace postern::ingest {

Reply::Reply(Asked asked, OnEnd on_end)
    : asked_(std::move(asked)),
      headers_(asked_.request.headers_text()),
      view_{asked_.request.method(), asked_.request.target(), headers_, asked_.request.body(), asked_.remote, &asked_.urls, &asked_.path},
      on_end_(std::move(on_end)) {}

Status Reply::end(End end) {
  if (ended_) return {Code::kGone, "the reply has ended"};
  ended_ = true;
  on_end_(std::move(end));
  on_end_ = nullptr;
  return Status::ok();
}

Status Reply::send(http::Response response) {
  MutexLock lock(mutex_);
  return end({std::move(response), {}});
}

Status Reply::accept(const std::vector<std::string>& protocols, http::Taker taker) {
  websocket::Acceptance acceptance = websocket::accept(asked_.request, protocols, asked_.request_id);
  if (acceptance.refusal) return {Code::kInvalid, "the request asks for no WebSocket"};
  MutexLock lock(mutex_);
  return end({std::nullopt, {}, std::move(acceptance.switching), std::move(taker)});
}

bool Reply::detach() {
  MutexLock lock(mutex_);
  if (!ended_) detached_ = true;
  return !ended_;
}

void Reply::drop() {
  MutexLock lock(mutex_);
  static_cast<void>(end({std::nullopt, "the plugin dropped the reply"}));
}

bool Reply::begin() {
  MutexLock lock(mutex_);
  if (ended_) return false;
  begun_ = true;
  return true;
}

bool Reply::begun() const {
  MutexLock lock(mutex_);
  return begun_;
}

// What a detached reply becomes is no longer the handler's to say.
void Reply::on_return(Returned how, std::string why) {
  MutexLock lock(mutex_);
  if (detached_) return;
  if (ended_) {
    if (how == Returned::kFailed) log::debug("a reply handler failed after its answer", {{"why", why}});
    return;
  }
  if (how == Returned::kDone) why = "the handler returned without an answer";
  if (how == Returned::kPending) why = "the handler returned pending without detach()";
  static_cast<void>(end({std::nullopt, std::move(why)}));
}

bool Reply::expire() {
  MutexLock lock(mutex_);
  if (ended_) return false;
  ended_ = true;
  on_end_ = nullptr;
  return true;
}

}  // namespace postern::ingest
