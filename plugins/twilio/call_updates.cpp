#include "call_updates.h"

#include <Poco/URI.h>
#include <openssl/evp.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "text.h"
#include "twiml.h"

namespace twilio {
namespace {

using nlohmann::json;
using postern::Dead;
using postern::Retry;
using postern::ServiceError;

constexpr size_t kMaxTwimlCharacters = 4000;  // error 32018 beyond it
constexpr size_t kMaxMessage = 200;           // of Twilio's words

std::string base64(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), reinterpret_cast<const unsigned char*>(bytes.data()),
                  static_cast<int>(bytes.size()));
  text.pop_back();
  return text;
}

std::string form_field(const std::string& name, const std::string& value) {
  std::string encoded;
  Poco::URI::encode(value, "!?#/'\",;:$&()[]*+=@", encoded);
  return name + "=" + encoded;
}

[[noreturn]] void refuse(const std::string& why) { throw ServiceError(POSTERN_E_INVALID, "twilio.calls/1 update: " + why); }

struct Update {
  std::string call_sid, form;
};

// Only what is known: a field that is passed over would be a wish that nobody hears of.
Update read_update(std::string_view text) {
  json request = json::parse(text, nullptr, false);
  if (!request.is_object()) refuse("the request is no JSON object");
  for (const auto& [name, value] : request.items()) {
    bool known = name == "call_sid" || name == "twiml" || name == "status";
    if (!known) refuse("unknown field '" + printable(name, 60) + "'; it takes call_sid, and twiml or status");
    if (!value.is_string()) refuse(name + " must be a string");
  }
  Update update{request.value("call_sid", ""), ""};
  if (!is_sid(update.call_sid, "CA")) refuse("call_sid is not CA and 32 hex digits");
  if (request.contains("twiml") == request.contains("status")) refuse("it needs either twiml or status");
  if (request.contains("status")) {
    if (request["status"] != "completed") refuse("status can only be set to completed");
    update.form = form_field("Status", "completed");
    return update;
  }
  const std::string twiml = request["twiml"];
  auto characters = std::count_if(twiml.begin(), twiml.end(), [](char c) { return (c & 0xC0) != 0x80; });
  if (static_cast<size_t>(characters) > kMaxTwimlCharacters)
    refuse("twiml has more than " + std::to_string(kMaxTwimlCharacters) + " characters");
  if (std::string fault = fault_of_twiml(twiml); !fault.empty()) refuse("twiml " + fault);
  update.form = form_field("Twiml", twiml);
  return update;
}

// "404, code 20404: The requested resource … was not found"
std::string explain(const postern::ClientResponse& response) {
  std::string text = std::to_string(response.status());
  json body = json::parse(response.body(), nullptr, false);
  if (!body.is_object()) return text;
  if (auto code = body.find("code"); code != body.end() && code->is_number_integer()) text += ", code " + code->dump();
  if (auto message = body.find("message"); message != body.end() && message->is_string())
    text += ": " + printable(message->get_ref<const std::string&>(), kMaxMessage);
  return text;
}

[[noreturn]] void fail(const postern::ClientResponse& response) {
  const uint32_t status = response.status();
  postern::Outcome outcome = response.outcome();
  if (status == 401)
    throw Dead("Twilio refuses the credentials (401): check account_sid, and api_key or, without one, that the first of auth_tokens is "
               "the account's primary token");
  if (outcome.status() != POSTERN_DEAD) {
    throw Retry("Twilio cannot be asked now: " + (status == 0 ? response.error() : explain(response)), response.retry_after());
  }
  if (status == 0) throw Dead("Twilio was not asked: " + response.error());
  throw Dead("Twilio does not update the call (" + explain(response) + ")");
}

std::string text_in(const json& object, const char* field, const std::string& otherwise) {
  auto found = object.find(field);
  return found != object.end() && found->is_string() ? found->get<std::string>() : otherwise;
}

}  // namespace

void CallUpdates::init(postern::Setup& setup, const Config& config) {
  setup.publish("twilio.calls/1", [this](postern::ServiceCall& call) { return serve(call); });
  if (config.account_sid.empty() || config.auth_tokens.empty()) return;
  account_sid_ = config.account_sid;
  bool key = !config.api_key_sid.empty();
  authorization_ = "Basic " + base64(key ? config.api_key_sid + ":" + config.api_key_secret
                                         : config.account_sid + ":" + config.auth_tokens.front());
  api_ = setup.upstream({.name = "api", .base_url = config.api_url, .retry_base = std::chrono::milliseconds(500)});
}

std::string CallUpdates::serve(postern::ServiceCall& call) const {
  if (call.method() != "update")
    throw ServiceError(POSTERN_E_UNSUPPORTED, "twilio.calls/1 has the method update, not " + printable(call.method(), 60));
  return update(call);
}

std::string CallUpdates::update(postern::ServiceCall& call) const {
  Update wanted = read_update(call.request());
  if (account_sid_.empty()) {
    throw ServiceError(POSTERN_E_UNSUPPORTED, "calls cannot be updated: the account is not configured; set account_sid (AC and 32 "
                                              "hex digits) in the plugin's config");
  }
  // The time that the caller gives: past it nobody waits for the answer any more.
  if (call.remaining().count() <= 0) throw Retry("no time is left to ask Twilio");
  postern::ClientResponse response =
      api_.call({.method = "POST",
                 .url = "/2010-04-01/Accounts/" + account_sid_ + "/Calls/" + wanted.call_sid + ".json",
                 .headers = {{"Authorization", authorization_}, {"Content-Type", "application/x-www-form-urlencoded"}},
                 .body = wanted.form,
                 .deadline = call.remaining()});
  if (!response.ok()) fail(response);
  json answer = json::parse(response.body(), nullptr, false);
  if (!answer.is_object()) answer = json::object();  // it is done, whatever they wrote
  return json{{"sid", text_in(answer, "sid", wanted.call_sid)}, {"status", text_in(answer, "status", "")}}.dump(
      -1, ' ', false, json::error_handler_t::replace);
}

}  // namespace twilio
