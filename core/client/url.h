// Url: an http or https URL, taken apart once and rebuilt from its parts, so that what is checked is what is called.
// Thread-safety: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/status.h"
#include "core/client/upstream.h"

namespace postern::client {

struct Url {
  std::string whole;   // as it is called; without a fragment
  std::string scheme;  // "http", "https"
  std::string host;    // lower case, an IPv6 address in brackets
  uint16_t port = 0;
  // For people: without the query, where secrets are.
  std::string shown() const;
  bool same_origin(const Url& o) const { return scheme == o.scheme && host == o.host && port == o.port; }
};

// kInvalid for another scheme, a name or password in it, blanks, control characters, a host that is not ASCII, over 8 KiB.
Result<Url> parse_url(const std::string& text);

// Where a Location header leads to from there.
Result<Url> resolve(const Url& from, const std::string& location);

// A host pattern of `allow_hosts`, or why it is none.
Status check_host_pattern(std::string_view pattern);

struct Destination {
  Url url;
  bool guarded = false;  // its addresses must be public
};
// Where a request's URL leads: behind the base URL, or, for a whole URL, to where the upstream's rules let it. kDenied where they do not,
// and for a path that would lead out of the base URL.
Result<Destination> destination(const Upstream& upstream, const std::string& url);

}  // namespace postern::client
