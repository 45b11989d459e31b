// Signs requests as the provider's documents say, with OpenSSL and without the gateway's own code. Timestamps and
// secrets are given as the texts that go onto the wire, so that a test can also send what no honest sender would.
// Thread-safety: pure functions.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postern::testing {

using Headers = std::vector<std::pair<std::string, std::string>>;
using Form = std::vector<std::pair<std::string, std::string>>;  // parameters, decoded; in order, names may repeat

// 20 raw bytes of HMAC-SHA1; 32 of HMAC-SHA256.
std::string hmac_sha1(std::string_view key, std::string_view data);
std::string hmac_sha256(std::string_view key, std::string_view data);
std::string hex(std::string_view bytes);  // lower case
std::string base64(std::string_view bytes);
std::optional<std::string> from_base64(std::string_view text);
std::string random_bytes(size_t size);

// "whsec_" + base64 of 32 random bytes; base64 of 32 random bytes; 40 random hex digits.
std::string new_standard_secret();
std::string new_legacy_key();
std::string new_own_secret();

// Unix time as text, `offset` seconds from now.
std::string unix_seconds(int64_t offset = 0);
std::string unix_milliseconds(int64_t offset = 0);

// Standard Webhooks 1.0.0 (current OpenPhone): webhook-id, webhook-timestamp, webhook-signature "v1,<base64>" over
// "id.timestamp.body". The secret is base64, with or without "whsec_".
Headers sign_standard(std::string_view secret, std::string_view id, std::string_view timestamp, std::string_view body);

// Legacy OpenPhone: openphone-signature "hmac;1;<ms>;<base64>" over "timestamp.body", key in base64.
Headers sign_legacy(std::string_view key, std::string_view timestamp, std::string_view body);

// Own variant: X-OpenPhone-Signature, hex over "timestamp.body", and X-OpenPhone-Timestamp; the secret is the key.
Headers sign_own(std::string_view secret, std::string_view timestamp, std::string_view body);

// application/x-www-form-urlencoded: what is not a letter, a digit or one of "-._" becomes %XX, a blank '+'.
std::string form_body(const Form& form);

// Twilio: X-Twilio-Signature, base64 of HMAC-SHA1 over the URL and then, by name in byte order, each name followed by
// its value; the values of a repeated name sorted, each different one once. `form` is empty for GET and for bodies that
// are no form: there the URL's query has the body's digest.
std::string twilio_signature(std::string_view token, std::string_view url, const Form& form = {});
Headers sign_twilio(std::string_view token, std::string_view url, const Form& form = {});

}  // namespace postern::testing
