#include "core/admission/client_address.h"

#include <arpa/inet.h>

#include <optional>
#include <string_view>
#include <vector>

namespace postern::admission {
namespace {

constexpr size_t kMaxHops = 32;
const std::string kUnknown = "unknown";

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

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

// `for="[2001:db8::1]:4711";proto=https` → the address of its `for`.
std::optional<std::string> forwarded_for(std::string_view element) {
  while (!element.empty()) {
    size_t semicolon = element.find(';');
    std::string_view pair = trim(element.substr(0, semicolon));
    element.remove_prefix(semicolon == std::string_view::npos ? element.size() : semicolon + 1);
    size_t equals = pair.find('=');
    if (equals == std::string_view::npos || !http::equals_ignoring_case(pair.substr(0, equals), "for")) continue;
    std::string_view value = pair.substr(equals + 1);
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') value = value.substr(1, value.size() - 2);
    return address_of(value);
  }
  return std::nullopt;
}

using ReadElement = std::optional<std::string> (*)(std::string_view);

// The first untrusted hop from the right; the leftmost one when all are trusted. Nothing where the header is absent.
std::optional<std::string> client_in(const http::Request& head, std::string_view name, ReadElement read, const AddressList& trusted) {
  std::vector<std::string_view> elements;
  for (size_t n = 0; auto value = head.header(name, n); ++n) {
    for (std::string_view rest = *value;;) {
      size_t comma = rest.find(',');
      elements.push_back(trim(rest.substr(0, comma)));
      if (elements.size() > kMaxHops) return kUnknown;
      if (comma == std::string_view::npos) break;
      rest.remove_prefix(comma + 1);
    }
  }
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
  bool believed = !trusted.empty() && (peer == "unix" || trusted.contains(peer));
  if (!believed) return peer;
  auto from_list = client_in(head, "x-forwarded-for", address_of, trusted);
  auto from_forwarded = client_in(head, "forwarded", forwarded_for, trusted);
  if (from_list && from_forwarded && *from_list != *from_forwarded) return kUnknown;
  return from_list ? *from_list : from_forwarded.value_or(peer);
}

}  // namespace postern::admission
