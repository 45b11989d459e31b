// The scheme `twilio`: X-Twilio-Signature, checked and made. Source: Twilio documentation, "Secure your webhooks"; where it is
// silent, as the official helper libraries do.
//
// A WebSocket handshake (GET, `Upgrade: websocket`) is signed by the URL of <Stream>, which Twilio may write in several ways: all are tried.
//
// Nothing of a body may pass that the signature does not cover: a form is signed by its parameters, any other body by its SHA-256
// in the query (bodySHA256), which is itself part of the signed URL. There is no timestamp, so a copied request verifies for
// ever: it is the event's id that makes the second one a duplicate.
//
// Thread-safety: pure functions of their arguments. Errors: throw std::exception when it cannot be told.
#pragma once

#include <postern/plugin.hpp>
#include <string_view>

namespace twilio {

constexpr std::string_view kSignatureHeader = "X-Twilio-Signature";

// `account_sid`: only requests with this AccountSid are genuine; empty: any.
bool verify_request(const postern::Verification& request, std::string_view account_sid);

// Adds the signature for the first of the request's URLs, a handshake's as wss. Throws when it has none, or a body that no signature would cover.
void sign_request(postern::Signing& request);

}  // namespace twilio
