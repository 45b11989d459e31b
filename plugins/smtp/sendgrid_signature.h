// The scheme `sendgrid`: the signature of Twilio SendGrid's Event Webhook, ECDSA over P-256 with SHA-256 (FIPS 186-5), in DER and base64, of
// the timestamp's text and the body's exact bytes, the line end behind the JSON included.
//
// The account keeps the private key and shows the public one, so nothing here is a secret, and nothing here can sign. SendGrid has no limit
// for the timestamp's age; ours keeps a copied request from being taken for ever.
//
// Thread-safety: pure functions of their arguments. Errors: throw std::exception when it cannot be told.
#pragma once

#include <chrono>
#include <optional>
#include <postern/plugin.hpp>
#include <string>
#include <string_view>

namespace smtp {

constexpr std::string_view kSendgridSignature = "X-Twilio-Email-Event-Webhook-Signature";
constexpr std::string_view kSendgridTimestamp = "X-Twilio-Email-Event-Webhook-Timestamp";

// Why a text is no public key that SendGrid could have given; nothing when it is one.
std::optional<std::string> fault_of_sendgrid_key(const std::string& text);

// The request's secrets are the public keys; any may fit. `tolerance`: into the past and into the future.
bool verify_sendgrid(const postern::Verification& request, std::chrono::milliseconds tolerance);

}  // namespace smtp
