// SendgridKey: an account's key pair, and what it signs: the headers of an Event Webhook. With OpenSSL, and without the plugin's own code.
// Thread-safety: one thread at a time.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "tests/support/signing.h"

struct evp_pkey_st;

namespace postern::testing {

inline constexpr std::string_view kSendgridSignatureHeader = "X-Twilio-Email-Event-Webhook-Signature";
inline constexpr std::string_view kSendgridTimestampHeader = "X-Twilio-Email-Event-Webhook-Timestamp";

class SendgridKey {
 public:
  // `curve`: SendGrid's, or another one that it would never use; "RSA" is none at all.
  explicit SendgridKey(const std::string& curve = "P-256");

  std::string public_key() const;                                                   // base64 of the DER SubjectPublicKeyInfo
  std::string signature(std::string_view timestamp, std::string_view body) const;  // DER
  Headers sign(std::string_view timestamp, std::string_view body) const;

 private:
  std::shared_ptr<evp_pkey_st> key_;
};

}  // namespace postern::testing
