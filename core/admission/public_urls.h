// By which URLs a provider may have called: some sign the URL that is configured at their side, which behind a proxy is not what our socket
// sees. Thread-safety: pure function.
#pragma once

#include <string>
#include <vector>

#include "core/admission/address_list.h"
#include "core/http/request.h"

namespace postern::admission {

struct UrlSource {
  std::string public_url;  // gateway.public_url without a '/' at its end; may be empty
  AddressList trusted_proxies;
};

// The likeliest first, at most kMaxUrls: public_url with the raw target behind it; then scheme, host and port as a trusted peer
// forwarded them (Forwarded, RFC 7239; X-Forwarded-Proto, -Host and -Port; the Host header only where neither they nor public_url
// name a host). What an untrusted peer claims is never looked at: a request that was signed for somebody else's URL could be sent
// here. A unix socket's peer is trusted where there are trusted proxies at all.
constexpr size_t kMaxUrls = 8;
std::vector<std::string> public_urls(const http::Request& request, const std::string& peer, const UrlSource& source);

}  // namespace postern::admission
