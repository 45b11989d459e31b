// SipCall: one phone call that OpenAI has by SIP: it carries the audio itself, and a Realtime session controls the call. What the model
// says is written down, its tools are run, and it can hang up or transfer the call.
//
// Everything runs on the thread of the control session. Where that breaks off the next one may have another thread: nothing of the call is
// touched any more once it is being connected.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <postern/plugin.hpp>
#include <string>
#include <string_view>

#include "conversation.h"
#include "dialogue.h"
#include "model_events.h"
#include "shared.h"
#include "sip_api.h"
#include "sip_webhook.h"

namespace openai_realtime {

class SipCall : public std::enable_shared_from_this<SipCall> {
 public:
  // The call has been accepted, and is among the active ones, which it leaves when it ends. Throws postern::Error when no session can be
  // begun; then it has left nothing.
  static void start(Shared& shared, const SipApi& api, IncomingCall incoming);

 private:
  class Leg;
  struct Transfer {
    FunctionCall asked;
    std::string name, target_uri;
    Dialogue::Answer answer;
  };

  SipCall(Shared& shared, const SipApi& api, IncomingCall incoming);

  void connect();
  void on_opened(postern::Session& session);
  void on_message(postern::MessageKind kind, std::string_view text);
  void on_event(const ModelEvent& event);
  void on_item_done(const ModelEvent& event);
  void on_timer();
  void on_ended(const postern::SessionEnd& end);
  void complain(std::string_view what);

  // The caller hears what has been said until then.
  void hang_up();
  void transfer(const FunctionCall& asked);
  void leave_when_heard();
  void leave();
  void finish(Ended ended_by, std::string_view reason);
  std::string summary(Ended ended_by, std::string_view reason) const;
  int64_t since_start_ms() const;

  Shared& shared_;
  const Config& config_;
  const SipApi& api_;
  const IncomingCall incoming_;
  const int64_t started_ms_, started_steady_ms_;
  Conversation conversation_;
  Dialogue dialogue_{shared_, conversation_};
  ModelWriter to_model_;
  postern::Session session_;  // none: it is not open
  std::string greeting_;
  size_t sessions_ = 0, attempts_ = 0;  // of control: that were open; to open one since
  uint64_t interruptions_ = 0, complaints_ = 0;
  bool playing_ = false;     // the caller hears the model
  bool hanging_up_ = false;  // the model has asked for it
  bool hung_up_ = false;     // and so has OpenAI been
  std::optional<Transfer> transfer_;  // that waits for what is being said
};

}  // namespace openai_realtime
