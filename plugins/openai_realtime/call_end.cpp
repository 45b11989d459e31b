// How a call ends, and what is left of it: an event.
#include <algorithm>

#include "call_legs.h"

namespace openai_realtime {
namespace {

using nlohmann::json;

constexpr int64_t kMarkIsLateMs = 2'000;

constexpr int64_t kFallbackWithinMs = 700;  // for Twilio to take the new TwiML; then the stream ends, and the call goes on behind <Connect>

}  // namespace

void Call::refuse(std::string_view why) {
  if (std::exchange(refused_, true)) return;
  shared_.log.warn("a media stream was refused: " + std::string(why));
  if (!writer_) shared_.meters.calls.add(static_cast<size_t>(Ended::kRefused));
  ended_by_ = Ended::kGateway;
  leave(1008, why.substr(0, 100));
}

// The caller must not be left in silence: Twilio is told to say something else, or goes on behind <Connect>.
void Call::fall_back(std::string_view why) {
  if (finished_ || std::exchange(fallen_back_, true)) return;
  shared_.log.error("call " + call_sid_ + ": falling back, the model cannot be used: " + std::string(why));
  ended_by_ = Ended::kFallback;
  close_models();
  if (config_.fallback.empty()) return caller_.close(1011, "the model is not there");
  caller_.discard_media();
  caller_.send(writer_->clear());
  set_alarm(Alarm::kFallback, kFallbackWithinMs);
  try {
    const json body = {{"call_sid", call_sid_}, {"twiml", config_.fallback}, {"reason", why}};
    shared_.publisher.publish({.type = "voice.call.fallback", .body = body.dump(-1, ' ', false, json::error_handler_t::replace),
                               .external_id = call_sid_ + ":" + stream_sid_ + ":fallback"});
  } catch (const postern::Error& error) {
    shared_.log.error("call " + call_sid_ + ": the fallback could not be asked for: " + error.what());
    caller_.close(1011, "the model is not there");
  }
}

void Call::hang_up_when_played() {
  if (!hanging_up_ || finished_ || dialogue_.responding()) return;
  if (!playback_.playing()) return leave(1000, "the model has ended the call");
  const int64_t due_ms = steady_ms() + playback_.remaining_ms() + kMarkIsLateMs;
  const auto& alarm = alarms_[static_cast<size_t>(Alarm::kHangUp)];
  if (alarm && due_ms < *alarm) set_alarm(Alarm::kHangUp, due_ms - steady_ms());
}

// The caller's part of the closing handshake may take seconds, in which nobody listens: the model is let go at once.
void Call::leave(uint32_t code, std::string_view why) {
  close_models();
  alarms_.fill(std::nullopt);
  arm();
  caller_.close(code, why);
}

void Call::on_caller_ended(const postern::SessionEnd& end) {
  const bool by_caller = end.by_peer || end.code == 1006;
  finish(ended_by_.value_or(by_caller ? Ended::kCaller : Ended::kGateway), end.reason);
}

void Call::close_models() {
  if (model_.open) {
    dropped_ += model_.session.dropped();
    model_.session.close(1000, "the call has ended");
  }
  if (next_.number != 0 && next_.session) next_.session.close(1000, "the call has ended");
  model_ = next_ = {};
  dialogue_.detach();
  for (Alarm alarm : {Alarm::kSetUp, Alarm::kDigits, Alarm::kRenew}) drop_alarm(alarm);
}

void Call::finish(Ended ended_by, std::string_view reason) {
  if (std::exchange(finished_, true) || !writer_) return;
  close_models();
  shared_.active.leave(call_sid_);
  shared_.meters.calls.add(static_cast<size_t>(ended_by));
  shared_.meters.interruptions.add(0, interruptions_);
  shared_.meters.frames.add(0, frames_in_);
  shared_.meters.frames.add(1, frames_out_);
  shared_.meters.dropped_frames.add(0, dropped_);
  shared_.completed.publish(call_sid_, summary(ended_by, reason), call_sid_ + ":" + stream_sid_);
}

std::string Call::summary(Ended ended_by, std::string_view reason) const {
  json body = conversation_.summary(config_, model_name_);
  body["call_sid"] = call_sid_;
  body["stream_sid"] = stream_sid_;
  body["path_id"] = path_id_.find('x') == path_id_.npos ? path_id_ : "";  // not a token
  body["from"] = from_;
  body["to"] = to_;
  body["model"] = model_name_;
  body["started_at"] = started_ms_;
  body["duration_ms"] = since_start_ms();
  body["ended_by"] = to_text(ended_by);
  body["reason"] = reason;
  body["interruptions"] = interruptions_;
  body["model_sessions"] = models_;
  body["frames"] = {{"in", frames_in_}, {"out", frames_out_}, {"dropped", dropped_}};
  return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace openai_realtime
