// TwilioTest: a gateway with twilio's routes besides openphone's, and what Twilio sends to them.
#pragma once

#include <gmock/gmock.h>

#include <string>
#include <utility>

#include "tests/integration/openphone_test.h"

namespace postern::testing {

inline constexpr const char* kIncomingCall = "/api/v1/webhooks/incoming-call";
inline constexpr const char* kCallStatus = "/api/v1/webhooks/call-status";
inline constexpr const char* kFormType = "application/x-www-form-urlencoded";
inline constexpr const char* kPublicUrl = "https://hooks.postern.test";
inline constexpr const char* kToken = "f00dfacef00dfacef00dfacef00dface";

// twilio's entry in `plugins:`. `config`: more of it, inside its braces; `route`: inside those of incoming-call.
inline std::string twilio_entry(const std::string& config = "", const std::string& route = "") {
  std::string entry = "  - name: twilio\n    library: twilio.so\n    config: {";
  entry += (config.empty() ? std::string("auth_tokens: [") + kToken + "]" : config) + "}\n";
  if (!route.empty()) entry += std::string("    routes: {") + kIncomingCall + ": {" + route + "}}\n";
  return entry;
}

// As Twilio sends them: the parameters of every voice request, for a call of its own.
inline Form call_form(const std::string& call_sid, const Form& more = {}) {
  Form form = {{"AccountSid", "AC00000000000000000000000000000001"},
               {"ApiVersion", "2010-04-01"},
               {"CallSid", call_sid},
               {"CallStatus", "ringing"},
               {"Direction", "inbound"},
               {"From", "+14155550123"},
               {"FromCity", "SAN FRANCISCO"},
               {"To", "+14155550100"},
               {"ToCity", ""}};
  form.insert(form.end(), more.begin(), more.end());
  return form;
}
inline Form status_form(const std::string& call_sid, const std::string& status, const std::string& sequence,
                        const Form& more = {}) {
  Form form = {{"CallSid", call_sid},    {"CallStatus", status}, {"SequenceNumber", sequence},
               {"From", "+14155550123"}, {"To", "+14155550100"}, {"Direction", "inbound"}};
  form.insert(form.end(), more.begin(), more.end());
  return form;
}

inline std::string new_call_sid() { return "CA" + hex(random_bytes(16)); }

// A POST with these bytes as form.
inline Response post_form(const Gateway& gateway, const std::string& target, const std::string& body,
                          const Headers& headers) {
  Headers all{{"Content-Type", kFormType}};
  all.insert(all.end(), headers.begin(), headers.end());
  return gateway.request("POST", target, all, body);
}

// Signed, as Twilio would, for the public address `base`.
inline Response call(const Gateway& gateway, const std::string& target, const Form& form,
                     const std::string& base = kPublicUrl, const std::string& token = kToken) {
  return post_form(gateway, target, form_body(form), sign_twilio(token, base + target, form));
}

class TwilioTest : public OpenphoneTest {
 protected:
  GatewayOptions options() const override { return {.public_url = kPublicUrl, .plugins = twilio_entry()}; }

  int64_t events_with(const std::string& external_id) {
    return gateway().store().number("SELECT count(*) FROM event WHERE external_id = ?", {external_id});
  }
};

}  // namespace postern::testing
