// What is signed: a URL and the parameters of a form, and their HMAC-SHA1. Source: Twilio documentation, "Secure your webhooks",
// and the tests of its helper libraries. Nothing here knows of Postern. Thread-safety: pure functions.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace twilio {

using Parameter = std::pair<std::string_view, std::string_view>;  // name and value, decoded
using Digest = std::array<unsigned char, 20>;

// A URL in parts; they are views and make up the whole again, but for the "://".
struct UrlParts {
  std::string_view scheme, host, port, rest;  // "https", "[::1]" or "h.example", ":8443" or "", "/a?b"; the user is left out
};
// Nothing when it has no "scheme://".
std::optional<UrlParts> split_url(std::string_view url);

// Name and value of each parameter, without separators: names in byte order; of one name each different value once, in byte
// order.
std::string parameter_text(std::vector<Parameter> parameters);

// The URLs that may have been signed for a request to one of `urls`: each as it is, without its port, and with its scheme's
// default port where it has none; without a user, and each once. The signer is not consistent about ports. At most 12.
std::vector<std::string> signed_urls(const std::vector<std::string_view>& urls);

// The same for a WebSocket handshake, of which the provider's documentation leaves open how the URL is written: with wss or https
// (ws and http as well where the URL has one of those), as it is or with a '/' at the end of the path, each with the ports as above, and
// wss with port 80 too. The likeliest, wss, comes first. At most 64.
std::vector<std::string> handshake_urls(const std::vector<std::string_view>& urls);

// Throws std::runtime_error when OpenSSL cannot.
Digest hmac_sha1(std::string_view key, std::string_view url, std::string_view parameters);

// Lower-case hex.
std::string sha256_hex(std::string_view a, std::string_view b = {});

std::string encode_base64(const Digest& digest);
// Standard base64 of 20 bytes, in the one way to write it; nothing for any other text.
std::optional<Digest> decode_base64(std::string_view text);

// In constant time for texts of equal length.
bool equal_secretly(std::string_view a, std::string_view b);
bool equal_secretly(const Digest& a, const Digest& b);

// The values, undecoded, of the parameters of that name in the query of a raw target.
std::vector<std::string_view> query_values(std::string_view target, std::string_view name);

}  // namespace twilio
