#include "core/admission/client_address.h"

#include <arpa/inet.h>

#include <optional>
#include <string_view>
#include <vector>

#include "core/admission/forwarded.h"

namespace postern::admission {
namespace {

const std::string kUnknown = "unknown";

bool is_address(const std::string& text) {
  unsigned char bytes[16];
  return ::inet_pton(AF_INET, text.c_str(), bytes) == 1 || ::inet_pton(AF_INET6, text.c_str(), bytes) == 1;
}

// "192.0.2.1", "192.0.2.1:4711", "2001:db8::1", "[2001:db8::1]:4711" → the address alone.
std::optional<std::string> address_of(std::string_view text) {
  if (text.starts_with('[')) {
    text = text.substr(1, text.find(']') - 1);
  } else if (size_t colon = text.find(':'); colon != std::string_view::npos && text.find(':', colon + 1) == std::string_view::npos) {
    text = text.substr(0, colon);
  }
  std::string address(text);
  return is_address(address) ? std::optional(address) : std::nullopt;
}

std::optional<std::string> forwarded_for(std::string_view element) {
  auto value = forwarded_parameter(element, "for");
  return value ? address_of(*value) : std::nullopt;
}

using ReadElement = std::optional<std::string> (*)(std::string_view);

// The first untrusted hop from the right; the leftmost one when all are trusted. Nothing where the header is absent.
std::optional<std::string> client_in(const http::Request& head, std::string_view name, ReadElement read, const AddressList& trusted) {
  std::vector<std::string_view> elements = list_elements(head, name);
  if (elements.size() > kMaxHops) return kUnknown;
  std::optional<std::string> client;
  for (auto element = elements.rbegin(); element != elements.rend(); ++element) {
    client = read(*element);
    if (!client) return kUnknown;
    if (!trusted.contains(*client)) break;
  }
  return client;
}

}  // namespace

std::string client_address(const http::Request& head, const std::string& peer, const AddressList& trusted) {
  if (!is_trusted(peer, trusted)) return peer;
  auto from_list = client_in(head, "x-forwarded-for", address_of, trusted);
  auto from_forwarded = client_in(head, "forwarded", forwarded_for, trusted);
  if (from_list && from_forwarded && *from_list != *from_forwarded) return kUnknown;
  return from_list ? *from_list : from_forwarded.value_or(peer);
}

}  // namespace postern::admission
