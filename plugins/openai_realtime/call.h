// Call: one phone call with the model: Twilio's media stream on one side, a Realtime session on the other. Audio goes through as it is,
// base64 to base64. Towards the model the oldest audio is dropped when it stops taking it; towards the caller nothing is, and reading from
// the model pauses instead.
//
//   caller ── media ──▶ append ──▶ model          model ── delta ──▶ media + mark ──▶ caller
//                                                 model ── speech_started ──▶ clear to the caller, truncate to the model
//
// Both sessions live on one thread, where everything here runs: nothing is locked. What comes from elsewhere, a tool's result, lies in the
// Dialogue's mailbox, and wakes the caller's session.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <postern/plugin.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "clock.h"
#include "config.h"
#include "conversation.h"
#include "dialogue.h"
#include "model_events.h"
#include "playback.h"
#include "session_update.h"
#include "shared.h"
#include "transcoder.h"
#include "twilio_stream.h"

namespace openai_realtime {

class Call : public std::enable_shared_from_this<Call> {
 public:
  // What may wait for the caller, 2.5 MiB: half of it, and one more message of the model beside what had been read, fit. The stream that the
  // handler gets has to allow it.
  static constexpr size_t kCallerQueue = 5 << 19;

  // The handler of a stream that begins. `path_id`: the call's own id in the path, or a token; may be empty.
  static std::unique_ptr<postern::SessionHandler> make(Shared& shared, std::string_view path_id);

 private:
  class CallerLeg;
  class ModelLeg;
  friend class CallerLeg;
  friend class ModelLeg;

  static constexpr int64_t kHangUpWithinMs = 30'000;  // for what the model has still said

  // What the caller's timer is for; it is armed for the earliest.
  enum class Alarm { kStart, kDigits, kSetUp, kHangUp, kFallback, kRenew };
  static constexpr size_t kAlarms = 6;

  // The caller's: it has ended when the model answers.
  enum class Turn { kNone, kSpeaks, kWaits };

  // One Realtime session: the one in use, or the next one while it is being set up.
  struct Model {
    postern::Session session;
    uint64_t number = 0;  // 0: none
    bool open = false;
    bool greeted = false;
    int64_t ready_by_ms = 0;  // steady: connected and set up
  };

  Call(Shared& shared, std::string_view path_id) : shared_(shared), config_(shared.config), path_id_(path_id) {}

  // The caller's side: call_caller.cpp.
  void on_caller_opened(postern::Session& session);
  void on_caller_message(postern::MessageKind kind, std::string_view text);
  void on_caller_writable();
  void on_start(const StreamMessage& start);
  const char* fault_of_start(const StreamMessage& start);
  void on_media(const StreamMessage& media);
  void send_frame(std::string_view payload);
  void on_digit(std::string_view digit);
  void send_digits();
  void on_alarm();
  void set_alarm(Alarm alarm, int64_t in_ms);
  void drop_alarm(Alarm alarm) { alarms_[static_cast<size_t>(alarm)].reset(); }
  void arm();
  void complain(Side side, std::string_view what);

  // The model's side: call_model.cpp.
  void connect_model(std::chrono::milliseconds timeout);
  void on_model_opened(uint64_t number, postern::Session& session);
  void on_model_message(uint64_t number, postern::MessageKind kind, std::string_view text);
  void on_model_ended(uint64_t number, const postern::SessionEnd& end);
  void prime();
  void on_event(const ModelEvent& event);
  void on_audio(const ModelEvent& event);
  void on_speech_started(const ModelEvent& event);
  void on_session_updated();
  void on_response_created(const ModelEvent& event);
  void on_response_done(const ModelEvent& event);
  void on_item_done(const ModelEvent& event);
  void on_error(const ModelEvent& event);
  void interrupt();
  bool is_quiet() const { return dialogue_.idle() && !playback_.playing() && turn_ == Turn::kNone; }
  void renew();

  // The end: call_end.cpp.
  void refuse(std::string_view why);
  void fall_back(std::string_view why);
  void hang_up_when_played();
  void leave(uint32_t code, std::string_view why);
  void on_caller_ended(const postern::SessionEnd& end);
  void finish(Ended ended_by, std::string_view reason);
  std::string summary(Ended ended_by, std::string_view reason) const;
  void close_models();
  int64_t since_start_ms() const { return steady_ms() - started_steady_ms_; }

  Shared& shared_;
  const Config& config_;
  const std::string path_id_;

  postern::Session caller_;
  std::string call_sid_, stream_sid_, from_, to_;
  std::optional<StreamWriter> writer_;  // once the stream has started
  std::string session_json_, model_url_, model_name_, greeting_;
  std::array<std::optional<int64_t>, kAlarms> alarms_;  // steady
  int64_t armed_for_ms_ = 0;
  std::string digits_;

  Model model_, next_;
  uint64_t last_model_ = 0;
  size_t models_ = 0;  // sessions there were
  ModelWriter to_model_;
  std::optional<Transcoder> transcoder_;  // where the model is asked for PCM; else audio goes through as it is
  std::deque<std::string> early_;  // frames that came before the model, base64
  size_t early_bytes_ = 0;
  std::deque<std::string> ignored_responses_;  // whose audio nobody waits for any more
  bool paused_ = false;
  Turn turn_ = Turn::kNone;
  bool owed_ = false;  // the session before was lost while it was to say something
  std::optional<int64_t> reconnected_ms_;  // steady: the last time

  Playback playback_;
  Conversation conversation_;
  Dialogue dialogue_{shared_, conversation_};
  int64_t started_ms_ = 0, started_steady_ms_ = 0;
  uint64_t frames_in_ = 0, frames_out_ = 0, dropped_ = 0, interruptions_ = 0, complaints_ = 0;
  bool complained_caller_ = false, complained_model_ = false;
  bool hanging_up_ = false, fallen_back_ = false, refused_ = false, finished_ = false;
  std::optional<Ended> ended_by_;  // who has ended it, where it is known before the stream ends
};

}  // namespace openai_realtime
