#include "sip_call.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "clock.h"
#include "session_update.h"

namespace openai_realtime {
namespace {

using Kind = ModelEvent::Kind;
using nlohmann::json;
using postern::MessageKind;
using postern::Session;
using postern::SessionEnd;
using std::chrono::milliseconds;

constexpr milliseconds kConnect{5'000};
constexpr milliseconds kPing{10'000};       // of silence: no audio comes here
constexpr uint64_t kMaxMessage = 1 << 20;
constexpr size_t kMaxAttempts = 3;          // to get control, in a row
constexpr milliseconds kHeardWithin{30'000};
constexpr milliseconds kGoneWithin{15'000};  // after it was hung up
constexpr size_t kMaxComplaints = 1'000;
constexpr uint32_t kGoingAway = 1001;

// There is no such call any more.
bool refuses(const SessionEnd& end) { return refuses_for_good(end.http_status); }

// It broke off, or the server ran into something. A call that is over ends its session in order.
bool broke_off(const SessionEnd& end) { return end.code == 1006 || (end.by_peer && end.code >= 1011 && end.code <= 1014); }

}  // namespace

class SipCall::Leg final : public postern::SessionHandler {
 public:
  explicit Leg(std::shared_ptr<SipCall> call) : call_(std::move(call)) {}
  void opened(Session& session) override { call_->on_opened(session); }
  void message(Session&, MessageKind kind, std::string_view data) override { call_->on_message(kind, data); }
  void timer(Session&) override { call_->on_timer(); }
  void woken(Session&) override { call_->dialogue_.on_woken(); }
  void ended(Session&, const SessionEnd& end) override { call_->on_ended(end); }

 private:
  const std::shared_ptr<SipCall> call_;
};

SipCall::SipCall(Shared& shared, const SipApi& api, IncomingCall incoming)
    : shared_(shared),
      config_(shared.config),
      api_(api),
      incoming_(std::move(incoming)),
      started_ms_(unix_ms()),
      started_steady_ms_(steady_ms()),
      greeting_(config_.greeting) {
  dialogue_.begin({incoming_.call_id, incoming_.from, incoming_.to});
}

void SipCall::start(Shared& shared, const SipApi& api, IncomingCall incoming) {
  std::shared_ptr<SipCall>(new SipCall(shared, api, std::move(incoming)))->connect();
}

int64_t SipCall::since_start_ms() const { return steady_ms() - started_steady_ms_; }

// ---- the control session

void SipCall::connect() {
  ++attempts_;
  const std::string url = control_url(config_, incoming_.call_id);
  postern::ConnectOptions options{.url = url, .headers = session_headers(config_), .ca_file = config_.ca_file, .proxy = config_.proxy, .connect = kConnect};
  options.limits = {.ping = kPing, .max_message = kMaxMessage};
  shared_.sessions.connect(options, std::make_unique<Leg>(shared_from_this()));
}

// The session has what the call was accepted with. A tool may have answered while there was none.
void SipCall::on_opened(Session& session) {
  session_ = session;
  attempts_ = 0;
  ++sessions_;
  playing_ = false;
  dialogue_.attach(session, false);  // the call's conversation is OpenAI's
  dialogue_.wake(session.id());
  dialogue_.on_woken();
  if (!greeting_.empty()) session_.send(to_model_.create_response(std::exchange(greeting_, {})));
  if (hanging_up_ || transfer_) session_.arm(kHeardWithin);
}

void SipCall::on_message(MessageKind kind, std::string_view text) {
  if (!session_) return;
  if (kind != MessageKind::kText) return complain("a binary message");
  const auto event = read_model_event(text);
  if (!event) return complain("a message that is no event");
  if (!has_ids(*event)) return complain("an id that is too long");
  on_event(*event);
}

void SipCall::on_event(const ModelEvent& event) {
  switch (event.kind) {
    case Kind::kResponseCreated: return dialogue_.on_response_created(event);
    case Kind::kResponseDone:
      dialogue_.on_response_done(event);
      return leave_when_heard();
    case Kind::kAudioStarted: playing_ = true; return;
    case Kind::kAudioStopped:
      playing_ = false;
      return leave_when_heard();
    case Kind::kItemDone: return on_item_done(event);
    case Kind::kSpeechStarted: return conversation_.caller_speaks(event.item_id, since_start_ms());
    case Kind::kOutputTranscript: return conversation_.model_said(event.item_id, event.transcript, since_start_ms());
    case Kind::kInputTranscript: return conversation_.caller_said(event.item_id, event.transcript, since_start_ms());
    case Kind::kItemTruncated:
      ++interruptions_;
      return conversation_.interrupt(event.item_id);
    case Kind::kError:
      shared_.meters.model_errors.add();
      return dialogue_.on_error(read_error(event));
    case Kind::kAudioDelta:
    case Kind::kSessionCreated:
    case Kind::kSessionUpdated:
    case Kind::kSpeechStopped:
    case Kind::kOther: return;
  }
}

void SipCall::on_item_done(const ModelEvent& event) {
  const auto asked = function_call_in(event);
  if (!asked) return;
  if (!asked->name.empty() && asked->name == config_.end_call_tool) return hang_up();
  if (asked->name == kTransferTool && !config_.sip.transfer_to.empty()) return transfer(*asked);
  dialogue_.run_tool(*asked);
}

// Once in the log, each time in the metrics; whoever goes on for long is given up, and the caller with it.
void SipCall::complain(std::string_view what) {
  shared_.meters.complaints.add(static_cast<size_t>(Side::kModel));
  if (complaints_++ == 0) {
    shared_.log.warn("call " + incoming_.call_id + ": the model sent " + std::string(what) + "; more of that kind is not told");
  }
  if (complaints_ != kMaxComplaints) return;
  transfer_.reset();
  shared_.active.note(incoming_.call_id, {Ended::kFallback, "it sends what is no Realtime event"});
  leave();
}

void SipCall::on_ended(const SessionEnd& end) {
  session_ = {};
  dialogue_.detach();
  const std::string why = end.http_status >= 300 ? "its control session's handshake is answered with " + std::to_string(end.http_status)
                                                 : std::to_string(end.code) + " " + std::string(end.reason);
  if (end.code == kGoingAway && !end.by_peer) return finish(Ended::kGateway, "the gateway stops");  // at OpenAI it goes on
  const bool closed_in_order = attempts_ == 0 && !broke_off(end);
  if (hung_up_ || refuses(end) || closed_in_order) return finish(hanging_up_ ? Ended::kModel : Ended::kCaller, why);
  if (attempts_ < kMaxAttempts) {
    shared_.log.warn("call " + incoming_.call_id + ": its control session is gone, " + why + "; trying again");
    try {
      return connect();  // from here on the call may be another thread's
    } catch (const postern::Error& error) {
      shared_.log.warn("call " + incoming_.call_id + ": no other can be begun: " + error.what());
    }
  }
  shared_.log.error("call " + incoming_.call_id + ": it is hung up, since nothing controls it any more: " + why);
  api_.hang_up_soon(incoming_.call_id);
  finish(Ended::kFallback, why);
}

// ---- its end

void SipCall::hang_up() {
  if (std::exchange(hanging_up_, true)) return;
  session_.arm(kHeardWithin);
  leave_when_heard();
}

void SipCall::transfer(const FunctionCall& asked) {
  const json arguments = json::parse(asked.arguments, nullptr, false);
  const json name = arguments.is_object() ? arguments.value("to", json()) : json();
  const auto target = config_.sip.transfer_to.find(name.is_string() ? name.get<std::string>() : "");
  if (target == config_.sip.transfer_to.end()) return dialogue_.refuse(asked, "to must be one of those that the tool names");
  if (hanging_up_ || transfer_) return dialogue_.refuse(asked, "the call ends, or is transferred, already");
  transfer_ = Transfer{asked, target->first, target->second, dialogue_.expect(asked, true)};
  session_.arm(kHeardWithin);
  leave_when_heard();
}

void SipCall::leave_when_heard() {
  if ((hanging_up_ || transfer_) && !dialogue_.responding() && !playing_) leave();
}

// A transfer that OpenAI refuses is told to the model, and the call goes on.
void SipCall::leave() {
  if (transfer_) {
    Transfer transfer = *std::exchange(transfer_, std::nullopt);
    session_.arm(milliseconds(0));
    auto failed = [answer = transfer.answer] { answer(tool_failure("the transfer has failed"), ToolOutcome::kFailed); };
    auto told = [failed, answer = transfer.answer, shared = &shared_, id = incoming_.call_id,
                 name = transfer.name](const postern::ClientResponse& response) {
      if (!response.ok()) {
        shared->log.warn("call " + id + ": it could not be transferred to " + name + ": " + response.error());
        return failed();
      }
      shared->active.note(id, {Ended::kModel, "transferred to " + name});
      answer(json({{"transferred_to", name}}).dump(), ToolOutcome::kDone);
    };
    return api_.refer_soon(incoming_.call_id, transfer.target_uri, told, failed);
  }
  if (std::exchange(hung_up_, true)) return;
  api_.hang_up_soon(incoming_.call_id);
  session_.arm(kGoneWithin);
}

// What was to be heard takes too long, or OpenAI does not end the session of a call that was hung up.
void SipCall::on_timer() {
  if (hung_up_) return session_.close(1000, "the call was hung up");
  leave();
}

void SipCall::finish(Ended ended_by, std::string_view reason) {
  std::string why(reason);
  if (const auto note = shared_.active.leave(incoming_.call_id)) {
    ended_by = note->ended_by;
    why = note->reason;
  }
  shared_.meters.calls.add(static_cast<size_t>(ended_by));
  shared_.meters.interruptions.add(0, interruptions_);
  shared_.completed.publish(incoming_.call_id, summary(ended_by, why), incoming_.call_id + ":completed");
}

std::string SipCall::summary(Ended ended_by, std::string_view reason) const {
  json body = conversation_.summary(config_, config_.session.model);
  body["sip"] = true;
  body["call_sid"] = incoming_.call_id;
  body["sip_call_id"] = incoming_.sip_call_id;
  body["from"] = incoming_.from;
  body["to"] = incoming_.to;
  body["model"] = config_.session.model;
  body["started_at"] = started_ms_;
  body["duration_ms"] = since_start_ms();
  body["ended_by"] = to_text(ended_by);
  body["reason"] = reason;
  body["interruptions"] = interruptions_;
  body["model_sessions"] = sessions_;
  return body.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace openai_realtime
