#include "voice_session.h"

namespace openai_realtime {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr size_t kMaxOutgoing = 4 << 20, kMaxEvents = 8 << 20;
constexpr milliseconds kLookEvery{30'000}, kForgottenAfter{5 * 60'000};

}  // namespace

class VoiceSession::Leg final : public postern::SessionHandler {
 public:
  explicit Leg(std::shared_ptr<VoiceSession> session) : session_(std::move(session)) {}
  void opened(postern::Session& session) override { session_->on_opened(session); }
  void message(postern::Session&, postern::MessageKind, std::string_view text) override { session_->on_message(text); }
  void woken(postern::Session& session) override { session_->on_woken(session); }
  void writable(postern::Session& session) override { session_->on_woken(session); }
  void timer(postern::Session& session) override { session_->on_timer(session); }
  void ended(postern::Session&, const postern::SessionEnd& end) override { session_->on_ended(end); }

 private:
  const std::shared_ptr<VoiceSession> session_;
};

void VoiceSession::connect(const postern::ConnectOptions& options) { sessions_.connect(options, std::make_unique<Leg>(shared_from_this())); }

bool VoiceSession::wait_until_ready(milliseconds within) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, within, [this] { return state_ != State::kConnecting; });
  return state_ == State::kReady;
}

bool VoiceSession::send(std::string_view event) {
  uint64_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    used_ = steady_clock::now();
    if (state_ != State::kReady || closing_) return false;
    if (outgoing_bytes_ + event.size() > kMaxOutgoing) {
      why_ = "it does not take what was sent before";
      return false;
    }
    outgoing_.emplace_back(event);
    outgoing_bytes_ += event.size();
    number = number_;
  }
  return sessions_.wake(number);
}

VoiceSession::Fetched VoiceSession::fetch(milliseconds wait) {
  std::unique_lock lock(mutex_);
  used_ = steady_clock::now();
  changed_.wait_for(lock, wait, [this] { return !events_.empty() || state_ == State::kClosed; });
  Fetched fetched;
  // An answer of a service is at most a megabyte.
  for (size_t bytes = 0; !events_.empty() && bytes + events_.front().size() < POSTERN_SERVICE_MAX_BYTES / 2; events_.pop_front()) {
    bytes += events_.front().size();
    event_bytes_ -= events_.front().size();
    fetched.events.push_back(std::move(events_.front()));
  }
  fetched.dropped = std::exchange(dropped_, 0);
  fetched.open = state_ == State::kReady;
  return fetched;
}

void VoiceSession::close() {
  uint64_t number = 0;
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    number = number_;
  }
  if (number != 0) sessions_.wake(number);
}

bool VoiceSession::is_closed() const {
  const std::lock_guard lock(mutex_);
  return state_ == State::kClosed;
}

std::string VoiceSession::why() const {
  const std::lock_guard lock(mutex_);
  return closing_ ? "it has been closed" : why_;
}

void VoiceSession::on_opened(postern::Session& session) {
  ModelWriter writer;
  session.send(writer.update_session(session_json_));
  session.arm(kLookEvery);
  const std::lock_guard lock(mutex_);
  number_ = session.id();
  if (closing_) session.close();
}

void VoiceSession::on_message(std::string_view text) {
  const auto event = read_model_event(text);
  if (!event) return;
  const std::lock_guard lock(mutex_);
  if (event->kind == ModelEvent::Kind::kSessionUpdated && state_ == State::kConnecting) state_ = State::kReady;
  if (event->kind == ModelEvent::Kind::kError && state_ == State::kConnecting) why_ = "the session was refused: " + read_error(*event).code;
  if (text.size() >= POSTERN_SERVICE_MAX_BYTES / 2) {
    ++dropped_;
  } else {
    events_.emplace_back(text);
    event_bytes_ += text.size();
  }
  while (event_bytes_ > kMaxEvents) {
    event_bytes_ -= events_.front().size();
    events_.pop_front();
    ++dropped_;
  }
  changed_.notify_all();
}

void VoiceSession::on_woken(postern::Session& session) {
  const std::lock_guard lock(mutex_);
  send_waiting(session);
  if (closing_) session.close();
}

// What the model does not take waits here, where it is bounded: the host would close the session. Of more than a half it tells by writable().
void VoiceSession::send_waiting(postern::Session& session) {
  while (!outgoing_.empty() && session.buffered() <= kMaxQueued / 2) {
    session.send(outgoing_.front());
    outgoing_bytes_ -= outgoing_.front().size();
    outgoing_.pop_front();
  }
}

// Whoever asked for it may be gone.
void VoiceSession::on_timer(postern::Session& session) {
  const std::lock_guard lock(mutex_);
  if (steady_clock::now() - used_ > kForgottenAfter) {
    why_ = "nobody has used it for five minutes";
    return session.close();
  }
  session.arm(kLookEvery);
}

void VoiceSession::on_ended(const postern::SessionEnd& end) {
  const std::lock_guard lock(mutex_);
  state_ = State::kClosed;
  if (end.http_status >= 300) {
    why_ = "OpenAI answers the handshake with " + std::to_string(end.http_status);
  } else if (why_ == kBeingSetUp) {
    why_ = "its session has ended: " + std::to_string(end.code) + " " + std::string(end.reason);
  }
  outgoing_.clear();
  changed_.notify_all();
}

}  // namespace openai_realtime
