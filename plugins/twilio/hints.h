// Why a signature does not match, for `postern verify`: the usual mistakes between the provider and the gateway are tried, and
// the one that would match is named with its remedy. Thread-safety: pure functions of their arguments.
#pragma once

#include <postern/plugin.hpp>
#include <vector>

#include "message.h"

namespace twilio {

// How URLs are varied before they are signed: signed_urls() or handshake_urls().
using Variants = std::vector<std::string> (*)(const std::vector<std::string_view>& urls);

// Tells by request.explain() what would match `given`; `form` is what the request has. Never used to accept a request: the
// headers that it looks at are the client's own word. Hashes at most 64 MiB.
void explain_hints(const postern::Verification& request, const std::vector<Parameter>& form, const Digest& given, Variants variants);

}  // namespace twilio
