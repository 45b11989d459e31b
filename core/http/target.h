// The path of a request target, decoded once and checked. One percent-decoding; what could be read as another path
// after a second one, or as a way out of the tree, is refused: "..", ".", "%2f", "%5c", "%00", control bytes, invalid
// UTF-8.
// Thread-safety: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::http {

// "/api/calls/CA%31/webhook" → {"api", "calls", "CA1", "webhook"}. A trailing '/' gives an empty last segment, "//" an
// empty one between. Nothing when the path is refused.
std::optional<std::vector<std::string>> decode_path(std::string_view path);

// Percent-decodes a query component; '+' is a space. Nothing when it is malformed or not UTF-8.
std::optional<std::string> decode_component(std::string_view text);

// The first value of a query parameter, decoded.
std::optional<std::string> query_parameter(std::string_view query, std::string_view name);

struct TargetParts {
  std::string_view path;   // into the target
  std::string_view query;  // without '?'
};

// Takes a request target apart (RFC 9112 §3.2): origin-form, absolute-form of http and https (without a path it means
// "/"; its host is not trusted), and the asterisk of OPTIONS. Nothing for authority-form, other schemes and a malformed
// host. Does not look at the characters of the path.
std::optional<TargetParts> split_target(std::string_view method, std::string_view target);

// A host with an optional port, as a Host header or an absolute target has it: a name or IPv4 address of unreserved
// characters, or an IPv6 address in brackets. Stricter than RFC 3986: no userinfo, no percent-encoding, no
// sub-delimiters (a comma is what a proxy leaves when it joins two Host headers), no empty port.
bool is_authority(std::string_view text);

// Valid UTF-8 without surrogates and overlong forms (RFC 3629).
bool is_utf8(std::string_view text);

}  // namespace postern::http
