// The headers that proxies add, taken apart. Whether to believe them is the caller's to ask first: is_trusted().
// Thread-safety: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/admission/address_list.h"
#include "core/http/request.h"

namespace postern::admission {

constexpr size_t kMaxHops = 32;

// Whether what this peer forwards is believed. A unix socket's peer is trusted where there are trusted proxies at all.
bool is_trusted(const std::string& peer, const AddressList& trusted);

// The elements of a comma-separated header, of all its occurrences in their order, without the white space around them; at most one more
// than kMaxHops. They point into the request.
std::vector<std::string_view> list_elements(const http::Request& request, std::string_view header);

// The value of one parameter of a Forwarded element (RFC 7239 §4), without its quotes: `for="[2001:db8::1]:4711";proto=https`.
std::optional<std::string_view> forwarded_parameter(std::string_view element, std::string_view name);

}  // namespace postern::admission
