// Addresses as the configuration has them. Numeric only: a name would need a resolver at start, and its answer may
// change under a listener or an allow list.
//
// A fault's text completes a sentence that begins with the value. Thread-safety: any thread.
#pragma once

#include <string>
#include <string_view>

#include "core/base/status.h"

namespace postern::config {

// HOST:PORT with IPv4 or [IPv6], in canonical spelling. Port 0 lets the system choose.
Result<std::string> parse_endpoint(std::string_view text);

// As parse_endpoint, or unix:/path (a relative path is relative to the working folder; at most 107 bytes, unix(7)).
Result<std::string> parse_listen(std::string_view text);

// A socket's path, without "unix:".
Result<std::string> parse_socket_path(std::string_view text);

// "10.0.0.0/8", "::1/128"; a bare address is a single host. Canonical: always with a prefix length. Bits set below the
// prefix are refused, as the network meant is unclear then.
Result<std::string> parse_cidr(std::string_view text);

// The address that providers call: http or https, a host, perhaps a port and a path; nothing else. A slash at the end
// is dropped, so that a route's path can be appended. The placeholders of shipped files are refused.
Result<std::string> parse_public_url(std::string_view text);

}  // namespace postern::config
