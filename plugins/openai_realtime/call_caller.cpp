// The caller's side of a call: what comes by Twilio's media stream.
#include <algorithm>

#include "base64.h"
#include "call_legs.h"

namespace openai_realtime {
namespace {

using Kind = StreamMessage::Kind;
using postern::MessageKind;
using postern::Session;

constexpr int64_t kStartWithinMs = 10'000;
constexpr int64_t kDigitsEndAfterMs = 1'500;
constexpr size_t kMaxDigits = 64;
constexpr size_t kMaxPayload = 256 << 10;  // base64: 24 s of audio
constexpr size_t kMaxEarly = 100;          // frames: 2 s
constexpr size_t kMaxEarlyBytes = 64 << 10;
constexpr int64_t kAskModelAgainMs = 200;
constexpr size_t kMaxName = 200, kMaxGreeting = 8 << 10, kMaxInstructions = 64 << 10;  // as in the configuration
constexpr size_t kMaxComplaints = 1'000;   // then whoever talks so is not Twilio

bool is_id(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isalnum(c) != 0; });
}

std::string parameter(const StreamMessage& start, std::string_view name) {
  for (const auto& [key, value] : start.parameters) {
    if (key == name) return std::string(value.substr(0, 1024));
  }
  return {};
}

}  // namespace

std::unique_ptr<postern::SessionHandler> Call::make(Shared& shared, std::string_view path_id) {
  return std::make_unique<CallerLeg>(std::shared_ptr<Call>(new Call(shared, path_id)));
}

void Call::on_caller_opened(Session& session) {
  caller_ = session;
  set_alarm(Alarm::kStart, kStartWithinMs);
}

void Call::on_caller_message(MessageKind kind, std::string_view text) {
  if (finished_ || refused_) return;
  if (kind != MessageKind::kText) return complain(Side::kCaller, "a binary message");
  const auto [message, fault] = read_stream_message(text);
  if (fault != nullptr) return complain(Side::kCaller, fault);
  if (message.kind == Kind::kConnected) return;
  if (message.kind == Kind::kStart) return on_start(message);
  if (!writer_) return complain(Side::kCaller, "a message before start");
  if (message.stream_sid != stream_sid_) return complain(Side::kCaller, "a message of another stream");
  switch (message.kind) {
    case Kind::kMedia: return on_media(message);
    case Kind::kMark:
      playback_.on_mark(mark_number(message.mark));
      return hang_up_when_played();
    case Kind::kDtmf: return on_digit(message.digit);
    case Kind::kStop:
      ended_by_ = ended_by_.value_or(Ended::kCaller);
      return leave(1000, "the stream has stopped");
    default: return complain(Side::kCaller, "a message of an unknown kind");
  }
}

const char* Call::fault_of_start(const StreamMessage& start) {
  if (!is_id(start.stream_sid) || !is_id(start.call_sid)) return "start without a streamSid and a callSid";
  const bool mulaw = start.encoding == "audio/x-mulaw" && start.sample_rate == 8'000 && start.channels == 1;
  if (!mulaw) return "start with another format than audio/x-mulaw, 8000 Hz, one channel";
  const Overrides overrides = overrides_of(start.parameters);
  const bool short_enough = overrides.model.size() <= kMaxName && overrides.voice.size() <= kMaxName &&
                            overrides.greeting.size() <= kMaxGreeting && overrides.instructions.size() <= kMaxInstructions;
  if (!short_enough) return "start with a parameter that is too long";
  const int64_t now = unix_ms();
  const std::string given = parameter(start, "token");
  const bool shown = shared_.tokens.take(given, start.call_sid, now) || (given.empty() && shared_.tokens.take(path_id_, start.call_sid, now));
  if (config_.media_streams.token_required && !shown) return "start without a valid token: see media_streams.token";
  if (!shared_.active.enter(start.call_sid)) return "a second stream for a call that has one";
  return nullptr;
}

void Call::on_start(const StreamMessage& start) {
  if (writer_) return complain(Side::kCaller, "a second start");
  if (const char* fault = fault_of_start(start)) return refuse(fault);
  drop_alarm(Alarm::kStart);
  arm();
  call_sid_ = start.call_sid;
  stream_sid_ = start.stream_sid;
  writer_.emplace(stream_sid_);
  if (config_.pcm) transcoder_.emplace();
  from_ = parameter(start, "From");
  to_ = parameter(start, "To");
  dialogue_.begin({call_sid_, from_, to_});
  dialogue_.wake(caller_.id());
  started_ms_ = unix_ms();
  started_steady_ms_ = steady_ms();
  const Overrides overrides = overrides_of(start.parameters);
  session_json_ = session_json(config_, overrides);
  model_url_ = model_url(config_, overrides);
  model_name_ = overrides.model.empty() ? config_.session.model : overrides.model;
  greeting_ = overrides.greeting.empty() ? config_.greeting : overrides.greeting;
  connect_model(config_.connect_timeout);
}

void Call::on_media(const StreamMessage& media) {
  if (media.track != "inbound") return;
  const auto bytes = base64_size(media.payload);
  if (!bytes || media.payload.size() > kMaxPayload) return complain(Side::kCaller, "a payload that is no base64, or of more than 24 seconds");
  playback_.set_clock(std::max(playback_.clock(), media.timestamp_ms));
  ++frames_in_;
  if (model_.open) return send_frame(media.payload);
  early_.emplace_back(media.payload);
  early_bytes_ += media.payload.size();
  while (early_.size() > kMaxEarly || early_bytes_ > kMaxEarlyBytes) {
    early_bytes_ -= early_.front().size();
    early_.pop_front();
    ++dropped_;
  }
}

void Call::send_frame(std::string_view payload) {
  if (transcoder_) payload = transcoder_->to_model(payload);
  if (!payload.empty()) model_.session.send_media(to_model_.append(payload));
}

// People press several keys for one answer: a pause, or '#', ends it.
void Call::on_digit(std::string_view digit) {
  if (digit.size() != 1 || digit.find_first_not_of("0123456789*#ABCDabcd") != digit.npos) return complain(Side::kCaller, "a digit that is none");
  if (digits_.size() < kMaxDigits) digits_ += digit;
  if (digit == "#" || digits_.size() >= kMaxDigits) return send_digits();
  set_alarm(Alarm::kDigits, kDigitsEndAfterMs);
}

// Those that come before the model is there wait for it.
void Call::send_digits() {
  drop_alarm(Alarm::kDigits);
  if (!model_.open) return set_alarm(Alarm::kDigits, kAskModelAgainMs);
  const std::string digits = std::exchange(digits_, {});
  if (digits.empty()) return;
  conversation_.caller_said({}, "[keys] " + digits, since_start_ms());
  model_.session.send(to_model_.create_message("user", "The caller pressed these keys of the phone: " + digits));
  dialogue_.want_response();
}

void Call::on_caller_writable() {
  if (!std::exchange(paused_, false)) return;
  if (model_.open) model_.session.resume();
}

// ---- time

void Call::set_alarm(Alarm alarm, int64_t in_ms) {
  alarms_[static_cast<size_t>(alarm)] = steady_ms() + in_ms;
  arm();
}

void Call::arm() {
  std::optional<int64_t> first;
  for (const auto& alarm : alarms_) {
    if (alarm && (!first || *alarm < *first)) first = alarm;
  }
  armed_for_ms_ = first.value_or(0);
  caller_.arm(std::chrono::milliseconds(first ? std::max<int64_t>(1, *first - steady_ms()) : 0));
}

void Call::on_alarm() {
  const int64_t due_ms = armed_for_ms_;
  for (size_t i = 0; i < kAlarms; ++i) {
    if (!alarms_[i] || *alarms_[i] > due_ms) continue;
    alarms_[i].reset();
    switch (static_cast<Alarm>(i)) {
      case Alarm::kStart: refuse("no start came"); break;
      case Alarm::kDigits: send_digits(); break;
      case Alarm::kSetUp: fall_back("it does not set up the session"); break;
      case Alarm::kHangUp: leave(1000, "the model has ended the call"); break;
      case Alarm::kFallback: caller_.close(1011, "the model is not there"); break;
      case Alarm::kRenew: renew(); break;
    }
  }
  arm();
}

// Once a call and side in the log, each time in the metrics; whoever goes on for long is given up.
void Call::complain(Side side, std::string_view what) {
  shared_.meters.complaints.add(static_cast<size_t>(side));
  const bool by_caller = side == Side::kCaller;
  bool& complained = by_caller ? complained_caller_ : complained_model_;
  if (!std::exchange(complained, true)) {
    shared_.log.warn("call " + (call_sid_.empty() ? "without a start" : call_sid_) + ": the " + std::string(to_text(side)) + " sent " + std::string(what) +
                     "; it is left out, and more of that kind is not told");
  }
  if (++complaints_ == kMaxComplaints) by_caller ? refuse("too much that is no media stream") : fall_back("it sends what is no Realtime event");
}

}  // namespace openai_realtime
