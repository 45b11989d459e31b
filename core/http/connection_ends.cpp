// How a request is refused, and how a connection ends: by a linger, or by being given away.
#include <utility>

#include "core/http/connection.h"

namespace postern::http {
namespace {

constexpr int kReadsPerTurn = 4;                    // so that a fast sender does not starve the others
constexpr size_t kLingerBytes = 64 * 1024 * 1024;  // so much a refused sender may go on with before it is cut off

}  // namespace

// What nobody behind the connection is asked about; nothing more of it is read.
void Connection::refuse_malformed(int status, const char* why) {
  if (!exchange_) new_exchange();
  service_.on_malformed(*exchange_, status, why);
  Response response = Response::error(status, why);
  if (status == 503) response.headers.emplace_back("Retry-After", "5");
  response.close = true;
  linger_after_answer_ = true;
  enter(Phase::kServing);
  answer(std::move(response));
}

// Before the body was read: the answer, a bounded linger, the end. Where no body follows, the connection may live on.
void Connection::refuse(Response response) {
  if (!reader_.has_body()) {
    reader_.begin_body(0);
    exchange_->request = reader_.take();
    hold();
    enter(Phase::kServing);
    return answer(std::move(response));
  }
  response.close = true;
  linger_after_answer_ = true;
  enter(Phase::kServing);
  answer(std::move(response));
}

void Connection::upgrade(std::string head, Taker taker) {
  if (phase_ != Phase::kServing) return;
  taker_ = std::move(taker);
  out_ = std::move(head);
  written_ = 0;
  exchange_.reset();
  flush();
}

// Unless there was no room for what came behind the request (read_ahead()): without that, frames would begin in the middle.
void Connection::give_away() {
  auto self = shared_from_this();
  if (close_after_answer_) return close();
  loop_.unwatch(stream_->fd());
  Upgraded given{std::move(stream_), pending_.substr(pending_at_), std::move(slot_)};
  auto taker = std::move(taker_);
  close();
  taker(std::move(given));
}

// A close with unread bytes would send a reset, and a reset may eat the answer before the client has read it.
void Connection::start_lingering() {
  reader_ = RequestReader();  // nothing more is read as a request, and there may be many who linger
  consuming_ ? static_cast<void>(hold()) : drop_pending();  // what is being read goes when it was
  stream_->shutdown_write();
  enter(Phase::kLingering);
  if (read_closed_) return close();
  linger();
}

void Connection::linger() {
  auto& scratch = loop_.scratch();
  for (int i = 0; i < kReadsPerTurn; ++i) {
    auto [outcome, bytes] = stream_->read(scratch.data(), scratch.size());
    if (outcome == net::Stream::Outcome::kWouldBlock) return update_interest();
    if (outcome == net::Stream::Outcome::kClosed) return close();
    lingered_ += bytes;
    if (lingered_ > kLingerBytes) return close();
  }
  update_interest();
}

}  // namespace postern::http
