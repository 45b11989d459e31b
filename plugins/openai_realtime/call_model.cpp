// The model's side of a call: a Realtime session, and the next one when that ends or has lasted too long.
#include <algorithm>

#include "base64.h"
#include "call_legs.h"

namespace openai_realtime {
namespace {

using Kind = ModelEvent::Kind;
using postern::MessageKind;
using postern::Session;
using postern::SessionEnd;
using std::chrono::milliseconds;

constexpr uint64_t kMaxMessage = 1 << 20;           // an audio delta is a few KiB
constexpr int64_t kBytesPerMs = 8;                  // µ-law, 8 kHz
constexpr int64_t kMaxAheadMs = 15 * 60'000;        // of speech that the caller has still to hear
constexpr size_t kMaxMarks = 50'000;                // that have not come back
constexpr size_t kMaxIgnored = 16;
constexpr size_t kPrimeBytes = 16 << 10;            // of what was said before
constexpr int64_t kReconnectOnceInMs = 30'000;
// With what Twilio has for the fallback (call_end.cpp), two seconds without a word.
constexpr milliseconds kReconnectWithin{1'300}, kLeastReconnect{200};
constexpr int64_t kAskQuietAgainMs = 1'000;
constexpr uint32_t kGoingAway = 1001;

}  // namespace

void Call::connect_model(milliseconds timeout) {
  next_ = {{}, ++last_model_, false, false, steady_ms() + timeout.count()};
  postern::ConnectOptions options{.url = model_url_, .headers = session_headers(config_), .ca_file = config_.ca_file, .proxy = config_.proxy, .connect = timeout};
  options.limits = {.ping = config_.silence_timeout, .max_message = kMaxMessage};
  try {
    next_.session = shared_.sessions.connect(options, std::make_unique<ModelLeg>(shared_from_this(), next_.number), caller_);
  } catch (const postern::Error& error) {
    next_ = {};
    if (!model_.open) fall_back(error.what());
  }
}

// The session before, where there was one, has nothing to say any more. Where somebody has begun to speak meanwhile, it goes on.
void Call::on_model_opened(uint64_t number, Session& session) {
  if (number != next_.number || finished_ || fallen_back_) return session.close(1000, "not needed any more");
  if (model_.open && !is_quiet()) {
    next_ = {};
    set_alarm(Alarm::kRenew, kAskQuietAgainMs);
    return session.close(1000, "not needed yet");
  }
  const bool renewed = model_.open;
  if (renewed) model_.session.close(1000, "another session goes on");
  model_ = {session, number, true, false, next_.ready_by_ms};
  next_ = {};
  ++models_;
  turn_ = Turn::kNone;
  dialogue_.attach(session);
  playback_.begin_session();
  if (paused_) session.pause();  // the caller still has too much to take
  ignored_responses_.clear();
  session.send(to_model_.update_session(session_json_));
  if (models_ > 1) prime();
  for (const std::string& payload : early_) send_frame(payload);
  early_.clear();
  early_bytes_ = 0;
  // Whoever waits in silence waits for both, the connection and what follows.
  set_alarm(Alarm::kSetUp, renewed ? config_.connect_timeout.count() : std::max<int64_t>(1, model_.ready_by_ms - steady_ms()));
  set_alarm(Alarm::kRenew, config_.renew_after.count());
}

// A fresh session knows nothing: it is told what was said.
void Call::prime() {
  for (const Conversation::Turn& turn : conversation_.newest(kPrimeBytes)) {
    model_.session.send(to_model_.create_message(turn.role, turn.text));
  }
}

void Call::on_model_message(uint64_t number, MessageKind kind, std::string_view text) {
  if (number != model_.number || finished_ || fallen_back_) return;
  if (kind != MessageKind::kText) return complain(Side::kModel, "a binary message");
  const auto event = read_model_event(text);
  if (!event) return complain(Side::kModel, "a message that is no event");
  if (!has_ids(*event)) return complain(Side::kModel, "an id that is too long");
  on_event(*event);
}

void Call::on_event(const ModelEvent& event) {
  switch (event.kind) {
    case Kind::kAudioDelta: return on_audio(event);
    case Kind::kSpeechStarted: return on_speech_started(event);
    case Kind::kSessionUpdated: return on_session_updated();
    case Kind::kSpeechStopped: turn_ = Turn::kWaits; return;
    case Kind::kResponseCreated: return on_response_created(event);
    case Kind::kResponseDone: return on_response_done(event);
    case Kind::kItemDone: return on_item_done(event);
    case Kind::kOutputTranscript: return conversation_.model_said(event.item_id, event.transcript, since_start_ms());
    case Kind::kInputTranscript: return conversation_.caller_said(event.item_id, event.transcript, since_start_ms());
    case Kind::kError: return on_error(event);
    case Kind::kSessionCreated:
    case Kind::kItemTruncated:
    case Kind::kAudioStarted:
    case Kind::kAudioStopped:
    case Kind::kOther: return;
  }
}

// It is told whom to greet, or goes on where the one before was lost.
void Call::on_session_updated() {
  drop_alarm(Alarm::kSetUp);
  arm();
  if (std::exchange(model_.greeted, true)) return;
  dialogue_.on_woken();
  if (!greeting_.empty()) {
    model_.session.send(to_model_.create_response(greeting_));
  } else if (owed_) {
    dialogue_.want_response();
  }
  owed_ = false;
}

void Call::on_response_created(const ModelEvent& event) {
  turn_ = Turn::kNone;
  dialogue_.on_response_created(event);
}

void Call::on_audio(const ModelEvent& event) {
  if (hanging_up_ && playback_.remaining_ms() == 0 && !dialogue_.responding()) return;
  if (std::find(ignored_responses_.begin(), ignored_responses_.end(), event.response_id) != ignored_responses_.end()) return;
  if (base64_size(event.delta).value_or(0) == 0) return complain(Side::kModel, "audio that is no base64");
  if (playback_.remaining_ms() > kMaxAheadMs) return complain(Side::kModel, "audio for more than fifteen minutes ahead");
  if (playback_.marks() >= kMaxMarks) return complain(Side::kModel, "audio, and too many marks have not come back");
  const std::string_view payload = transcoder_ ? transcoder_->to_caller(event.delta) : event.delta;
  if (payload.empty()) return;  // half a sample
  ++frames_out_;
  caller_.send_media(writer_->media(payload));
  const auto bytes = static_cast<int64_t>(base64_size(payload).value_or(0));
  caller_.send(writer_->mark(playback_.add(event.item_id, event.response_id, bytes, kBytesPerMs)));
  if (caller_.buffered() <= kCallerQueue / 2 || paused_) return;
  paused_ = true;
  model_.session.pause();
}

// Source: twilio-samples "speech-assistant-openai-realtime-api", its handleSpeechStartedEvent.
void Call::on_speech_started(const ModelEvent& event) {
  turn_ = Turn::kSpeaks;
  if (playback_.playing()) interrupt();
  conversation_.caller_speaks(event.item_id, since_start_ms());
}

void Call::interrupt() {
  ++interruptions_;
  caller_.discard_media();
  caller_.send(writer_->clear());
  if (transcoder_) transcoder_->cut();
  if (!config_.session.server_interrupts && dialogue_.responding()) model_.session.send(to_model_.cancel());
  for (const Playback::Cut& cut : playback_.interrupt()) {
    conversation_.interrupt(cut.item_id);
    if (!cut.known) continue;
    model_.session.send(to_model_.truncate(cut.item_id, cut.audio_end_ms));
    ignored_responses_.push_back(cut.response_id);
  }
  while (ignored_responses_.size() > kMaxIgnored) ignored_responses_.pop_front();
}

void Call::on_response_done(const ModelEvent& event) {
  greeting_.clear();  // until here a session that is lost is followed by one that greets
  dialogue_.on_response_done(event);
  hang_up_when_played();
}

void Call::on_item_done(const ModelEvent& event) {
  const auto asked = function_call_in(event);
  if (!asked) return;
  if (asked->name.empty() || asked->name != config_.end_call_tool) return dialogue_.run_tool(*asked);
  hanging_up_ = true;  // when its response is done, so that nothing is cut
  ended_by_ = Ended::kModel;
  set_alarm(Alarm::kHangUp, kHangUpWithinMs);
}

void Call::on_error(const ModelEvent& event) {
  const ModelError error = read_error(event);
  shared_.meters.model_errors.add();
  if (error.event_id == kFirstUpdate) return fall_back("it refuses the session: " + error.code + " " + error.message);
  dialogue_.on_error(error);
}

// ---- its end

// A session ends after 60 minutes without a warning: the next one begins before, when nobody speaks.
void Call::renew() {
  if (!is_quiet()) return set_alarm(Alarm::kRenew, kAskQuietAgainMs);
  if (next_.number == 0) connect_model(config_.connect_timeout);
}

void Call::on_model_ended(uint64_t number, const SessionEnd& end) {
  const bool in_use = number == model_.number && model_.open, was_next = number == next_.number && next_.number != 0;
  if (in_use) dropped_ += end.dropped, model_ = {};
  if (was_next) next_ = {};
  if ((!in_use && !was_next) || finished_ || fallen_back_) return;
  if (end.code == kGoingAway && !end.by_peer) return;  // the gateway stops: it ends the caller's session as well
  if (was_next && model_.open) return set_alarm(Alarm::kRenew, kAskQuietAgainMs);  // the one in use goes on
  if (in_use) owed_ = dialogue_.responding() || turn_ == Turn::kWaits;
  dialogue_.detach();
  drop_alarm(Alarm::kSetUp);
  if (hanging_up_) return hang_up_when_played();
  std::string why = end.http_status != 0 && end.http_status != 101 ? "it answers the handshake with " + std::to_string(end.http_status)
                                                                   : "its session has ended: " + std::to_string(end.code) + " " + std::string(end.reason);
  const int64_t now = steady_ms();
  const bool again = in_use && (!reconnected_ms_ || now - *reconnected_ms_ > kReconnectOnceInMs);
  if (!again) return fall_back(why);
  shared_.log.warn("call " + call_sid_ + ": the model is gone, " + why + "; trying once more");
  reconnected_ms_ = now;
  // A silent one has taken its time already: pinged after silence_timeout, lost after as long again.
  const milliseconds left = kReconnectWithin - (end.silent() ? 2 * config_.silence_timeout : milliseconds(0));
  connect_model(std::min(config_.connect_timeout, std::max(left, kLeastReconnect)));
}

}  // namespace openai_realtime
