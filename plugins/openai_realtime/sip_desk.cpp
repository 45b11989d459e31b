#include "sip_desk.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "clock.h"
#include "session_update.h"
#include "sip_call.h"

namespace openai_realtime {
namespace {

using nlohmann::json;
using postern::ClientResponse;
using postern::Delivery;
using postern::Outcome;
using std::chrono::milliseconds;

constexpr int64_t kRingsForMs = 60'000;
constexpr milliseconds kAgainAfter{2'000};

// When OpenAI says that the call came; our own clock where it says nothing.
int64_t age_ms(const Delivery& delivery, const IncomingCall& incoming) {
  return unix_ms() - incoming.created_ms.value_or(delivery.received_at().time_since_epoch().count());
}

// OpenAI refuses to do a second time what it has done: after a request whose answer was lost, a refusal may mean that.
bool may_be_done_already(const Delivery& delivery, const ClientResponse& answer) {
  return refuses_for_good(answer.status()) && (delivery.attempt() > 1 || answer.attempts() > 1);
}

}  // namespace

SipDesk::SipDesk(Shared& shared, postern::Setup& setup) : shared_(shared), config_(shared.config), api_(config_, setup) {
  register_sip_webhook(config_, setup);
}

Outcome SipDesk::on_incoming(Delivery& delivery) const {
  const auto incoming = read_incoming_call(delivery.body());
  if (!incoming) return Outcome::dead("its data.call_id is not as OpenAI makes them: rtc_ and letters, digits, '_' and '-'");
  if (age_ms(delivery, *incoming) > kRingsForMs) {
    shared_.meters.sip_calls.add(static_cast<size_t>(SipOutcome::kTooLate));
    return Outcome::dead("the caller has gone: the call came more than 60 s ago");
  }
  if (!config_.sip.accept) return reject(delivery, incoming->call_id);
  if (!shared_.active.enter(incoming->call_id)) return Outcome::done();  // it is controlled from here already
  try {
    Outcome outcome = accept(delivery, *incoming);
    if (outcome.status() != POSTERN_OK) shared_.active.leave(incoming->call_id);
    return outcome;
  } catch (...) {
    shared_.active.leave(incoming->call_id);
    throw;
  }
}

// What stays wrong ends it, what may pass is tried again while it rings.
Outcome SipDesk::failed(const ClientResponse& answer, std::string_view what) const {
  const std::string why = "OpenAI does not " + std::string(what) + " the call: " + answer.error();
  if (answer.outcome().comes_again()) return Outcome::retry(why, std::max(kAgainAfter, answer.retry_after()));
  shared_.meters.sip_calls.add(static_cast<size_t>(SipOutcome::kFailed));
  return Outcome::dead(why);
}

Outcome SipDesk::reject(Delivery& delivery, const std::string& call_id) const {
  const ClientResponse answer = api_.reject(delivery, call_id);
  if (!answer.ok() && !may_be_done_already(delivery, answer)) return failed(answer, "reject");
  shared_.meters.sip_calls.add(static_cast<size_t>(SipOutcome::kRejected));
  delivery.set_result(json({{"call_id", call_id}, {"accepted", false}}).dump());
  return Outcome::done();
}

Outcome SipDesk::accept(Delivery& delivery, const IncomingCall& incoming) const {
  const ClientResponse answer = api_.accept(delivery, incoming.call_id, sip_session_json(config_));
  if (!answer.ok() && !may_be_done_already(delivery, answer)) return failed(answer, "accept");
  delivery.set_result(json({{"call_id", incoming.call_id}, {"accepted", true}}).dump());
  try {
    SipCall::start(shared_, api_, incoming);
  } catch (const postern::Error& error) {
    return Outcome::retry(std::string("the call cannot be controlled: ") + error.what(), kAgainAfter);
  }
  shared_.meters.sip_calls.add(static_cast<size_t>(SipOutcome::kAccepted));
  return Outcome::done();
}

// ---- for other plugins

std::optional<std::string> SipDesk::serve(const postern::ServiceCall& call) const {
  const bool refers = call.method() == "refer";
  if (!refers && call.method() != "hangup") return std::nullopt;
  const std::string method(call.method());
  auto wrong = [&](const char* why) { return postern::ServiceError(POSTERN_E_INVALID, method + ": " + why); };
  const json request = json::parse(call.request(), nullptr, false);
  auto text = [&](const char* name) {
    const json found = request.is_object() ? request.value(name, json()) : json();
    return found.is_string() ? found.get<std::string>() : std::string();
  };
  const std::string call_id = text("call_id"), to = text("to");
  if (!is_sip_call_id(call_id)) throw wrong("a call_id is needed, as voice.call.completed names it: rtc_…");
  const auto target = config_.sip.transfer_to.find(to);
  if (refers && target == config_.sip.transfer_to.end()) throw wrong("to must be a name of sip.transfer_to in the configuration");
  const ClientResponse answer = refers ? api_.refer(call_id, target->second, call.remaining()) : api_.hang_up(call_id, call.remaining());
  if (answer.status() == 404) throw postern::ServiceError(POSTERN_E_NOT_FOUND, method + ": there is no such call, or it has ended");
  answer.or_throw();
  shared_.active.note(call_id, {Ended::kGateway, refers ? "transferred to " + to : "hung up by the plugin " + std::string(call.caller())});
  return json({{"call_id", call_id}}).dump();
}

}  // namespace openai_realtime
