// Whose request it is, when a proxy stands in front. Thread-safety: pure function.
#pragma once

#include <string>

#include "core/admission/address_list.h"
#include "core/http/request.h"

namespace postern::admission {

// The client's numeric address. X-Forwarded-For and Forwarded (RFC 7239) are believed only from a trusted peer, from right to
// left as long as the hop that wrote them is trusted itself: what a client writes into them stays left of its own address. A
// unix socket's peer counts as trusted where there are trusted proxies at all.
//
// "unknown", which is in no list, when a trusted proxy sends what cannot be read, or both headers with different clients: a
// proxy that writes one of them passes the other on as its client wrote it.
std::string client_address(const http::Request& head, const std::string& peer, const AddressList& trusted);

}  // namespace postern::admission
