#include "core/net/proxy_header.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <optional>

namespace postern::net {
namespace {

constexpr std::string_view kSignature1 = "PROXY ";
constexpr std::string_view kSignature2("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr size_t kFixedPart = 16;
constexpr size_t kAddresses4 = 12, kAddresses6 = 36, kAddressesUnix = 216;

bool may_become(std::string_view bytes, std::string_view signature) {
  size_t shared = std::min(bytes.size(), signature.size());
  return bytes.substr(0, shared) == signature.substr(0, shared);
}

std::string text_of(const in_addr& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  return ::inet_ntop(AF_INET, &address, text.data(), text.size());
}

std::string text_of(const in6_addr& address) {
  if (IN6_IS_ADDR_V4MAPPED(&address)) {
    in_addr mapped;
    std::memcpy(&mapped, &address.s6_addr[12], sizeof mapped);
    return text_of(mapped);
  }
  std::array<char, INET6_ADDRSTRLEN> text{};
  return ::inet_ntop(AF_INET6, &address, text.data(), text.size());
}

template <typename Address>
std::optional<std::string> read_address(int family, const std::string& text) {
  Address address;
  if (::inet_pton(family, text.c_str(), &address) != 1) return std::nullopt;
  return text_of(address);
}

// 0 to 65535 in decimal, no leading zero.
bool is_port(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text[0] == '0')) return false;
  unsigned value = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  return value <= 65535;
}

}  // namespace

size_t ProxyHeader::feed(std::string_view bytes) {
  size_t used = 0;
  while (state_ == State::kIncomplete && used < bytes.size()) {
    // Of version 2 all that is still wanted at once; else byte by byte, so that none behind the line is taken.
    size_t some = wanted_ > bytes_.size() ? std::min(wanted_ - bytes_.size(), bytes.size() - used) : 1;
    bytes_.append(bytes.substr(used, some));
    used += some;
    look_on();
  }
  return used;
}

void ProxyHeader::refuse(const char* why) {
  state_ = State::kMalformed;
  why_ = why;
}

void ProxyHeader::look_on() {
  if (wanted_ > 0) {
    if (bytes_.size() == wanted_) read_body();
    return;
  }
  if (may_become(bytes_, kSignature2)) {
    if (bytes_.size() == kFixedPart) look_at_fixed_part();
    return;
  }
  if (!may_become(bytes_, kSignature1)) return refuse("no PROXY header came first");
  if (bytes_.back() == '\n') return read_line();
  if (bytes_.size() == kMaxLine) return refuse("the line of the PROXY header is too long");
  bool control = static_cast<unsigned char>(bytes_.back()) < 0x20 && bytes_.back() != '\r';
  bool bare = bytes_.size() > 1 && bytes_[bytes_.size() - 2] == '\r';
  if (control || bare) refuse("the line of the PROXY header has control bytes");
}

// "PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n", or "PROXY UNKNOWN" and anything.
void ProxyHeader::read_line() {
  if (!bytes_.ends_with("\r\n")) return refuse("the line of the PROXY header ends without a CR");
  std::string_view rest = std::string_view(bytes_).substr(kSignature1.size(), bytes_.size() - kSignature1.size() - 2);
  if (rest == "UNKNOWN" || rest.starts_with("UNKNOWN ")) {
    state_ = State::kComplete;
    return;
  }
  std::array<std::string_view, 5> parts;  // family, source, destination, their ports
  for (size_t i = 0; i < parts.size(); ++i) {
    bool last = i + 1 == parts.size();
    size_t end = last ? rest.size() : rest.find(' ');
    if (end == std::string_view::npos) return refuse("the line of the PROXY header is too short");
    parts[i] = rest.substr(0, end);
    rest.remove_prefix(last ? end : end + 1);
  }
  const bool v4 = parts[0] == "TCP4", v6 = parts[0] == "TCP6";
  if (!v4 && !v6) return refuse("the PROXY header names another family than TCP4, TCP6 and UNKNOWN");
  auto read = [v4](std::string_view text) {
    return v4 ? read_address<in_addr>(AF_INET, std::string(text)) : read_address<in6_addr>(AF_INET6, std::string(text));
  };
  auto source = read(parts[1]);
  if (!source || !read(parts[2])) return refuse("the PROXY header has a bad address");
  if (!is_port(parts[3]) || !is_port(parts[4])) return refuse("the PROXY header has a bad port");
  source_ = std::move(*source);
  state_ = State::kComplete;
}

void ProxyHeader::look_at_fixed_part() {
  auto at = [this](size_t i) { return static_cast<uint8_t>(bytes_[i]); };
  constexpr size_t kVersionAndCommand = 12, kLength = 14;
  if (at(kVersionAndCommand) >> 4 != 2) return refuse("the PROXY header has another version than 1 and 2");
  if ((at(kVersionAndCommand) & 0x0f) > 1) return refuse("the PROXY header has a command other than LOCAL and PROXY");
  size_t length = static_cast<size_t>(at(kLength)) << 8 | at(kLength + 1);
  if (length > kMaxBody) return refuse("the PROXY header is too long");
  wanted_ = kFixedPart + length;
  if (length == 0) read_body();
}

void ProxyHeader::read_body() {
  constexpr uint8_t kProxyCommand = 0x21, kTcp4 = 0x11, kTcp6 = 0x21, kUnixStream = 0x31;
  const auto command = static_cast<uint8_t>(bytes_[12]), family = static_cast<uint8_t>(bytes_[13]);
  const size_t length = bytes_.size() - kFixedPart;
  if (command == kProxyCommand) {
    if (family == kTcp4) {
      if (length < kAddresses4) return refuse("the PROXY header is too short for its addresses");
      in_addr address;
      std::memcpy(&address, bytes_.data() + kFixedPart, sizeof address);
      source_ = text_of(address);
    } else if (family == kTcp6) {
      if (length < kAddresses6) return refuse("the PROXY header is too short for its addresses");
      in6_addr address;
      std::memcpy(&address, bytes_.data() + kFixedPart, sizeof address);
      source_ = text_of(address);
    } else if (family == kUnixStream) {
      if (length < kAddressesUnix) return refuse("the PROXY header is too short for its addresses");
    } else if (family != 0) {
      return refuse("the PROXY header names another family than TCP and unix sockets");
    }
  }
  state_ = State::kComplete;
}

}  // namespace postern::net
