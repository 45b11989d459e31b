#include "core/http/connection.h"

#include <sys/epoll.h>

#include <algorithm>
#include <utility>

#include "core/base/broken.h"
#include "core/base/ids.h"

namespace postern::http {
namespace {

constexpr size_t kMaxPending = 64 * 1024;           // read ahead of the request at hand
constexpr int kReadsPerTurn = 4;                    // so that a fast sender does not starve the others
constexpr int kRequestsPerTurn = 32;
constexpr const char* kTooMuch = "too many requests are on their way";

}  // namespace

void Exchange::respond(Response response) {
  if (auto connection = std::move(connection_)) connection->answer(std::move(response));
}

void Exchange::upgrade(std::string head, Taker taker) {
  if (auto connection = std::move(connection_)) connection->upgrade(std::move(head), std::move(taker));
}

Connection::Connection(net::EventLoop& loop, std::unique_ptr<net::Stream> stream, Service& service, const Timeouts& timeouts,
                       MemoryBudget& budget, ConnectionCounts::Slot slot)
    : loop_(loop),
      stream_(std::move(stream)),
      service_(service),
      timeouts_(timeouts),
      budget_(budget),
      slot_(std::move(slot)),
      deadline_([this] {
        auto self = shared_from_this();
        on_deadline();
      }) {}

Connection::~Connection() { let_go(); }

Status Connection::start() {
  interest_ = stream_->read_events();
  Status watched = loop_.watch(stream_->fd(), interest_, *this);
  if (watched) loop_.timers().arm(deadline_, loop_.now_ms() + timeouts_.head);
  return watched;
}

void Connection::close() {
  if (phase_ == Phase::kClosed) return;
  phase_ = Phase::kClosed;
  deadline_.cancel();
  if (stream_) loop_.unwatch(stream_->fd());
  stream_.reset();  // closes the socket
  taker_ = nullptr;
  slot_ = {};
  let_go();
  exchange_.reset();
  loop_.bury(shared_from_this());
  service_.on_closed(*this);
}

void Connection::close_when_idle() {
  draining_ = true;
  if (phase_ == Phase::kIdle && out_.empty()) close();
}

void Connection::on_ready(uint32_t events) {
  if (phase_ == Phase::kClosed) return;
  auto self = shared_from_this();
  // A client that closed only its own side shows as EPOLLIN; these two mean that no answer can reach it any more. Where both sides have
  // closed, what it sent last is still read, or the close would be a reset.
  if ((events & EPOLLERR) != 0 || ((events & EPOLLHUP) != 0 && phase_ != Phase::kLingering)) return close();
  if (phase_ == Phase::kLingering) return linger();
  if (written_ < out_.size() && (events & stream_->write_events()) != 0) flush();
  if (phase_ != Phase::kClosed && !read_closed_ && (events & stream_->read_events()) != 0) on_readable();
}

void Connection::on_readable() {
  if (phase_ == Phase::kLingering) return linger();  // a posted read
  if (waits_for_its_turn()) consume({});
  auto& scratch = loop_.scratch();
  for (int i = 0; i < kReadsPerTurn && !read_closed_ && phase_ != Phase::kClosed && phase_ != Phase::kLingering; ++i) {
    if (waits_for_its_turn() || is_full()) break;
    auto [outcome, bytes] = stream_->read(scratch.data(), scratch.size());
    if (outcome == net::Stream::Outcome::kWouldBlock) break;
    if (outcome == net::Stream::Outcome::kClosed) {
      read_closed_ = true;
      // A client may close its side and still wait for the answers to whole requests. A part of one is thrown away.
      if (phase_ != Phase::kServing) return close();
      break;
    }
    window_bytes_ += bytes;
    if (broken::kDeadlinesMove && deadline_.armed()) loop_.timers().arm(deadline_, loop_.now_ms() + timeouts_.head);
    consume({scratch.data(), bytes});
    if (bytes < scratch.size()) break;
  }
  update_interest();
}

void Connection::consume(std::string_view data) {
  if (phase_ == Phase::kServing) return read_ahead(data);
  if (waits_for_its_turn()) read_ahead(std::exchange(data, {}));
  consuming_ = true;  // an answer given at once must not read the next request inside this call: pipelines would nest
  size_t used = read_on(data);
  if (used < data.size() && (phase_ == Phase::kServing || phase_ == Phase::kIdle)) read_ahead(data.substr(used));
  read_pending();
  consuming_ = false;
  if (taker_ && out_.empty()) return give_away();
  bool waits = phase_ == Phase::kIdle || phase_ == Phase::kHead || phase_ == Phase::kBody;
  if (waits && read_closed_ && !waits_for_its_turn()) close();  // nothing more can come, and a part of a request is none
}

// Whole requests are here, and others have their turn first.
bool Connection::waits_for_its_turn() const { return phase_ == Phase::kIdle && pending_at_ < pending_.size(); }

bool Connection::is_full() const {
  return phase_ == Phase::kServing && (close_after_answer_ || pending_.size() - pending_at_ >= kMaxPending);
}

// Of a client that pipelines, as far as there is room for it: else the answer at hand is the last (RFC 9112 §9.3.2 has it ask again).
void Connection::read_ahead(std::string_view data) {
  if (data.empty()) return;
  pending_.append(data);
  if (hold()) return;
  drop_pending();
  close_after_answer_ = linger_after_answer_ = true;
  if (phase_ == Phase::kIdle) refuse_malformed(503, kTooMuch);
}

void Connection::drop_pending() {
  pending_ = std::string();  // thousands of idle connections must not each keep a buffer
  pending_at_ = 0;
  hold();
}

// Attack: ten thousand requests of 26 bytes are in a few reads, and each that is answered at once would be answered in this turn.
// An offset moves through the pipelined requests, so that many small ones cost no more than their bytes.
void Connection::read_pending() {
  for (int requests = 0; waits_for_its_turn() && requests < kRequestsPerTurn; ++requests) {
    pending_at_ += read_on(std::string_view(pending_).substr(pending_at_));
  }
  if (waits_for_its_turn()) read_again_soon();
  if (pending_at_ < pending_.size() && (phase_ == Phase::kServing || phase_ == Phase::kIdle)) {
    if (pending_at_ < kMaxPending / 2) return;
    pending_.erase(0, pending_at_);
    pending_at_ = 0;
    hold();
  } else if (!pending_.empty()) {
    drop_pending();
  }
}

// Reads up to the end of one request; returns how many bytes that took.
size_t Connection::read_on(std::string_view data) {
  size_t used = 0;
  while (true) {
    if (used < data.size()) used += reader_.feed(data.substr(used));
    switch (reader_.state()) {
      case RequestReader::State::kHead:
        if (reader_.in_head() && phase_ == Phase::kIdle) enter(Phase::kHead);
        break;
      case RequestReader::State::kHeadComplete:
        if (!on_head_complete(used < data.size())) return used;
        continue;
      case RequestReader::State::kBody:
        break;
      case RequestReader::State::kRefused: {
        refuse_malformed(reader_.refusal().status, reader_.refusal().reason);
        return used;
      }
      case RequestReader::State::kComplete:
        serve();
        return used;
    }
    if (used < data.size()) continue;
    if (!hold()) refuse_malformed(503, kTooMuch);
    return used;
  }
}

// Has of the budget what is held by now. False when there is no room for more; less always succeeds.
bool Connection::hold() {
  const size_t holds = reader_.held() + pending_.size();
  if (holds < held_) budget_.give(held_ - holds);
  if (holds > held_ && !budget_.take(held_, holds - held_)) return false;
  held_ = holds;
  return true;
}

void Connection::let_go() {
  if (held_ > 0) budget_.give(held_);
  held_ = 0;
}

void Connection::new_exchange() {
  exchange_ = std::make_shared<Exchange>();
  head_only_ = false;
  exchange_->request_id = make_request_id();
  exchange_->peer = stream_->peer();
  exchange_->remote = exchange_->peer;
}

// False when the request is refused or its answer is being written: the rest must not be read as its body.
bool Connection::on_head_complete(bool more_came) {
  new_exchange();
  head_only_ = reader_.request().method() == "HEAD";
  Service::Admission admission = service_.on_head(*exchange_, reader_.request());
  if (admission.refused) {
    refuse(std::move(admission.refusal));
    return false;
  }
  reader_.begin_body(admission.max_body);
  if (reader_.state() != RequestReader::State::kBody) return true;
  enter(Phase::kBody);
  if (reader_.expects_continue() && !more_came) {
    // It is 25 bytes into an empty send buffer. A client for which they do not fit has left its answers unread; a part of the line, or a
    // TLS record that was begun, would spoil what comes behind it.
    constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    if (stream_->write(kContinue.data(), kContinue.size()).bytes != kContinue.size()) {
      close();
      return false;
    }
  }
  return true;
}

void Connection::serve() {
  exchange_->request = reader_.take();
  hold();
  fresh_ = false;
  enter(Phase::kServing);
  exchange_->connection_ = shared_from_this();
  service_.on_request(exchange_);
}

void Connection::answer(Response response) {
  if (phase_ != Phase::kServing) return;
  bool keep_alive = !response.close && !draining_ && !close_after_answer_ && exchange_ && exchange_->request.keep_alive();
  close_after_answer_ = !keep_alive;
  queue(response, keep_alive, head_only_);
  exchange_.reset();
  flush();
}

void Connection::queue(const Response& response, bool keep_alive, bool head_only) {
  serialize(response, keep_alive, exchange_ ? std::string_view(exchange_->request_id) : std::string_view(), head_only, out_);
  written_ = 0;
}

void Connection::flush() {
  auto self = shared_from_this();
  while (written_ < out_.size()) {
    auto [outcome, bytes] = stream_->write(out_.data() + written_, out_.size() - written_);
    if (outcome == net::Stream::Outcome::kClosed) return close();
    if (outcome == net::Stream::Outcome::kWouldBlock) {
      if (!deadline_.armed()) loop_.timers().arm(deadline_, loop_.now_ms() + timeouts_.write);
      return update_interest();
    }
    written_ += bytes;
  }
  if (!out_.empty()) on_written();
}

void Connection::on_written() {
  out_.clear();
  written_ = 0;
  if (taker_ && !close_after_answer_) {
    if (!consuming_) give_away();  // else when what came behind the request is kept
    return;
  }
  // Whoever asked for the close may have sent more behind that request, and so may the one whose answer the close follows (RFC 9112 §9.6).
  if (linger_after_answer_ || (close_after_answer_ && !draining_)) return start_lingering();
  if (close_after_answer_) return close();
  enter(Phase::kIdle);
  if (consuming_) return;
  consume({});
  update_interest();
}

void Connection::update_interest() {
  if (phase_ == Phase::kClosed) return;
  uint32_t wanted = 0;
  bool reads = !read_closed_ && !is_full() && !waits_for_its_turn();
  if (reads) wanted |= stream_->read_events();
  if (written_ < out_.size()) wanted |= stream_->write_events();
  if (reads && stream_->has_buffered()) read_again_soon();
  if (wanted == interest_) return;
  interest_ = wanted;
  loop_.rewatch(stream_->fd(), interest_, *this);
}

// In a turn to come, after the others: no event tells of what the stream has taken from its socket already.
void Connection::read_again_soon() {
  if (again_) return;
  again_ = true;
  loop_.post([waiting = weak_from_this()] {
    auto self = waiting.lock();
    if (!self) return;
    self->again_ = false;
    if (self->phase_ != Phase::kClosed && (!self->read_closed_ || self->waits_for_its_turn())) self->on_readable();
  });
}

}  // namespace postern::http
