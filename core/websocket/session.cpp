#include "core/websocket/session.h"

#include <sys/epoll.h>

#include <algorithm>
#include <utility>

namespace postern::websocket {
namespace {

constexpr size_t kFrameAhead = 16 * 1024;  // so many bytes are made into frames; the rest waits where media can still be dropped
constexpr int kReadsPerTurn = 4;

}  // namespace

std::shared_ptr<Session> Session::start(net::EventLoop& loop, std::unique_ptr<net::Stream> stream, Role role, const Limits& limits,
                                        Handler& handler, std::string first) {
  std::shared_ptr<Session> session(new Session(loop, std::move(stream), role, limits, handler));
  session->self_ = session;
  loop.post([session, first = std::move(first)]() mutable { session->begin(std::move(first)); });
  return session;
}

Session::Session(net::EventLoop& loop, std::unique_ptr<net::Stream> stream, Role role, const Limits& limits, Handler& handler)
    : loop_(loop),
      stream_(std::move(stream)),
      peer_(stream_->peer()),
      role_(role),
      limits_(limits),
      handler_(handler),
      codec_(role, limits.max_message, *this),
      outbox_(limits.max_queued),
      deadline_([this] { on_deadline(); }),
      write_deadline_([this] { abort("the peer takes nothing any more"); }) {}

Session::~Session() = default;

void Session::begin(std::string first) {
  if (phase_ == Phase::kGone) return;
  heard_ms_ = loop_.now_ms();
  interest_ = stream_->read_events();
  if (Status s = loop_.watch(stream_->fd(), interest_, *this); !s) return abort(s.message());
  if (phase_ == Phase::kOpen) loop_.timers().arm(deadline_, heard_ms_ + limits_.ping_ms);
  if (!take(first)) return;
  if (stream_->has_buffered()) read_again_soon();
  flush_soon();
}

// ---- what comes

void Session::on_ready(uint32_t events) {
  auto self = shared_from_this();
  if (written_ < out_.size() && (events & (stream_->write_events() | EPOLLERR)) != 0) flush();
  if (phase_ == Phase::kGone) return;
  const bool broken = (events & (EPOLLERR | EPOLLHUP)) != 0;
  if (paused_ && phase_ == Phase::kOpen) {
    if (broken) abort("the connection broke");
    return;
  }
  if (broken || (events & stream_->read_events()) != 0) on_readable();
}

void Session::on_readable() {
  std::vector<char>& scratch = loop_.scratch();
  for (int i = 0; i < kReadsPerTurn; ++i) {
    auto [outcome, bytes] = stream_->read(scratch.data(), scratch.size());
    if (outcome == net::Stream::Outcome::kWouldBlock) break;
    if (outcome == net::Stream::Outcome::kClosed) return abort("the connection ended without a closing handshake");
    heard_ms_ = loop_.now_ms();
    pinged_ = false;
    if (!take({scratch.data(), bytes})) return;
    if (bytes < scratch.size() || (paused_ && phase_ == Phase::kOpen)) break;
  }
  update_interest();
}

// False when the socket is closed by now.
bool Session::take(std::string_view bytes) {
  if (phase_ == Phase::kLeaving) return true;  // thrown away: a close with unread bytes would be a reset, which may eat our last frame
  codec_.feed(bytes);
  if (codec_.failure() && !told_) {
    const auto [code, why] = *codec_.failure();
    if (phase_ == Phase::kOpen) codec_.put_close(code, why, out_);
    leave({code, why, false});
  }
  return phase_ != Phase::kGone;
}

void Session::on_message(Kind kind, std::string_view data) {
  if (phase_ == Phase::kOpen) handler_.on_message(*this, kind, data);
}

void Session::on_ping(std::string_view data) {
  if (phase_ != Phase::kOpen) return;
  // Attack: pings to which nobody reads the pongs. One that waits answers all (RFC 6455 §5.5.3).
  if (out_.size() - written_ < 2 * kFrameAhead) codec_.put_pong(data, out_);
  flush_soon();
}

void Session::on_pong(std::string_view) {}  // that something came is enough

void Session::on_close(uint16_t code, std::string_view reason) {
  if (phase_ == Phase::kClosing) return leave(ours_);
  codec_.put_close(code, {}, out_);
  leave({code, std::string(reason), true});
}

// ---- what goes

Status Session::send(Kind kind, std::string_view data, Class what) {
  if (phase_ != Phase::kOpen) return {Code::kGone, "the session is closed"};
  if (!outbox_.put(kind, data, what)) {
    close(kTryAgainLater, "too much waits to be taken");
    return {Code::kLimit, "the peer takes nothing any more"};
  }
  if (buffered() > limits_.max_queued / 2) wants_writable_ = true;
  flush_soon();
  return Status::ok();
}

void Session::close(uint16_t code, std::string_view reason) {
  if (phase_ != Phase::kOpen) return;
  outbox_.drop_media();
  while (!outbox_.empty()) {
    const Outbox::Message message = outbox_.take();
    codec_.put_message(message.kind, message.data, out_);
  }
  codec_.put_close(code, reason, out_);
  phase_ = Phase::kClosing;
  ours_ = {code, std::string(reason), false};
  loop_.timers().arm(deadline_, loop_.now_ms() + limits_.close_ms);
  resume();  // for the peer's closing frame
  flush_soon();
}

void Session::fill() {
  while (!outbox_.empty() && out_.size() - written_ < kFrameAhead) {
    const Outbox::Message message = outbox_.take();
    codec_.put_message(message.kind, message.data, out_);
  }
}

void Session::flush_soon() {
  if (flush_comes_) return;
  flush_comes_ = true;
  loop_.at_end_of_turn([waiting = weak_from_this()] {
    auto self = waiting.lock();
    if (!self) return;
    self->flush_comes_ = false;
    if (self->phase_ != Phase::kGone && self->interest_ != 0) self->flush();
  });
}

void Session::flush() {
  auto self = shared_from_this();
  if (phase_ == Phase::kOpen) fill();
  while (written_ < out_.size()) {
    auto [outcome, bytes] = stream_->write(out_.data() + written_, out_.size() - written_);
    if (outcome == net::Stream::Outcome::kClosed) return abort("the connection broke");
    if (outcome == net::Stream::Outcome::kWouldBlock) {
      if (!write_deadline_.armed()) loop_.timers().arm(write_deadline_, loop_.now_ms() + limits_.write_ms);
      return update_interest();
    }
    written_ += bytes;
    write_deadline_.cancel();
    if (written_ == out_.size()) {
      out_.clear();
      written_ = 0;
    }
    if (phase_ == Phase::kOpen) fill();
  }
  if (out_.capacity() > 2 * kFrameAhead) out_ = std::string();
  after_flush();
}

void Session::after_flush() {
  if (phase_ == Phase::kLeaving) {
    stream_->shutdown_write();
  } else if (phase_ == Phase::kOpen && wants_writable_ && buffered() <= limits_.max_queued / 4) {
    wants_writable_ = false;
    handler_.on_writable(*this);
  }
  if (phase_ != Phase::kGone) update_interest();
}

void Session::pause() {
  if (phase_ != Phase::kOpen || paused_) return;
  paused_ = true;
  update_interest();
}

void Session::resume() {
  if (!paused_) return;
  paused_ = false;
  heard_ms_ = loop_.now_ms();  // that nothing was heard meanwhile was our doing
  update_interest();
  if (stream_ && stream_->has_buffered()) read_again_soon();
}

void Session::update_interest() {
  if (!stream_ || interest_ == 0) return;  // 0: not watched yet
  const bool reads = !paused_ || phase_ != Phase::kOpen;
  uint32_t wanted = reads ? stream_->read_events() : 0;
  if (written_ < out_.size()) wanted |= stream_->write_events();
  if (reads && stream_->has_buffered()) read_again_soon();
  if (wanted == 0) wanted = EPOLLERR;  // epoll tells of it anyway
  if (wanted == interest_) return;
  interest_ = wanted;
  loop_.rewatch(stream_->fd(), interest_, *this);
}

// In a turn to come: no event tells of what the stream has taken from its socket already.
void Session::read_again_soon() {
  if (read_comes_) return;
  read_comes_ = true;
  loop_.post([waiting = weak_from_this()] {
    auto self = waiting.lock();
    if (!self) return;
    self->read_comes_ = false;
    if (self->phase_ != Phase::kGone && (!self->paused_ || self->phase_ != Phase::kOpen)) self->on_readable();
  });
}

// ---- deadlines and ends

void Session::on_deadline() {
  auto self = shared_from_this();
  switch (phase_) {
    case Phase::kOpen: return watch_silence();
    case Phase::kClosing:
      tell(ours_);
      return finish();
    case Phase::kLeaving: return finish();
    case Phase::kGone: return;
  }
}

void Session::watch_silence() {
  const int64_t now = loop_.now_ms();
  if (paused_) heard_ms_ = now;
  if (now - heard_ms_ < limits_.ping_ms) return loop_.timers().arm(deadline_, heard_ms_ + limits_.ping_ms);
  if (pinged_) return abort(kSilent);
  pinged_ = true;
  codec_.put_ping({}, out_);
  flush_soon();
  loop_.timers().arm(deadline_, now + limits_.ping_ms);
}

void Session::abort(std::string_view reason) {
  if (phase_ == Phase::kGone) return;
  auto self = shared_from_this();
  tell(phase_ == Phase::kClosing ? ours_ : Ending{kLost, std::string(reason), false});
  finish();
}

void Session::tell(const Ending& ending) {
  codec_.end_reading();
  if (std::exchange(told_, true)) return;
  handler_.on_ended(*this, ending);
}

// Both sides have said that they end, or the peer broke the rules: the last frame goes out, and what still comes is thrown away.
void Session::leave(const Ending& ending) {
  auto self = shared_from_this();
  phase_ = Phase::kLeaving;
  outbox_.clear();
  loop_.timers().arm(deadline_, loop_.now_ms() + limits_.close_ms);
  flush_soon();
  tell(ending);
}

void Session::finish() {
  if (phase_ == Phase::kGone) return;
  phase_ = Phase::kGone;
  deadline_.cancel();
  write_deadline_.cancel();
  if (interest_ != 0) loop_.unwatch(stream_->fd());
  stream_.reset();
  loop_.bury(std::move(self_));
}

}  // namespace postern::websocket
