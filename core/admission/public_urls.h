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

// public_url with the raw target behind it, and no other: most proxies pass on what a client wrote into the headers that they do not
// write themselves, and a request that was signed for another URL could be sent here with that URL in them. Without a public_url, the
// likeliest first and at most kMaxUrls: scheme, host and port as a trusted peer forwarded them (Forwarded, RFC 7239; X-Forwarded-Proto,
// -Host and -Port; the Host header where they name no host). What an untrusted peer claims is never looked at. A unix socket's peer is
// trusted where there are trusted proxies at all.
constexpr size_t kMaxUrls = 8;
std::vector<std::string> public_urls(const http::Request& request, const std::string& peer, const UrlSource& source);

}  // namespace postern::admission
