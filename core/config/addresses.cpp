#include "core/config/addresses.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>

namespace postern::config {

namespace {

Status invalid(std::string message) { return {Code::kInvalid, std::move(message)}; }

struct Ip {
  bool v6 = false;
  std::array<uint8_t, 16> bytes{};

  unsigned bits() const { return v6 ? 128 : 32; }
  std::string text() const {
    std::array<char, INET6_ADDRSTRLEN> out{};
    ::inet_ntop(v6 ? AF_INET6 : AF_INET, bytes.data(), out.data(), out.size());
    return out.data();
  }
};

// inet_pton, not Poco's parser, which lets inet_aton read 127.1, 0x7f.1 and 010.0.0.1 (octal), and looks up scopes.
std::optional<Ip> parse_ip(std::string_view text) {
  Ip ip;
  const std::string copy(text);
  if (copy.find('\0') != std::string::npos) return std::nullopt;
  ip.v6 = copy.find(':') != std::string::npos;
  if (::inet_pton(ip.v6 ? AF_INET6 : AF_INET, copy.c_str(), ip.bytes.data()) != 1) return std::nullopt;
  return ip;
}

// Digits only, no sign, no leading zero, at most `max`.
std::optional<unsigned> parse_small(std::string_view text, unsigned max) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > max) return std::nullopt;
  if (text.size() > 1 && text[0] == '0') return std::nullopt;
  return value;
}

bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

// A name of labels (RFC 1123; underscores are seen in the wild), an IPv4 address, or an IPv6 address in its brackets.
bool is_host(std::string_view host) {
  if (host.empty() || host.size() > 253) return false;
  if (host.front() == '[') {
    const std::optional<Ip> ip = parse_ip(host.substr(1, host.size() - 2));
    return host.back() == ']' && ip && ip->v6;
  }
  size_t label = 0;
  for (const char c : host) {
    if (c != '.' && !is_word(c)) return false;
    if (c == '.' && label == 0) return false;
    label = c == '.' ? 0 : label + 1;
    if (label > 63) return false;
  }
  return true;
}

bool is_placeholder(std::string host) {
  if (host.ends_with('.')) host.pop_back();
  if (host.find("your-domain") != std::string::npos || host.find("yourdomain") != std::string::npos) return true;
  for (const std::string_view shipped : {"example.com", "example.org", "example.net"}) {
    if (host == shipped) return true;
    if (host.ends_with(shipped) && host[host.size() - shipped.size() - 1] == '.') return true;
  }
  return false;
}

// RFC 3986, 3.3: a path's characters.
bool is_path(std::string_view path) {
  constexpr std::string_view kMarks = ".~!$&'()*+,;=:/%";
  return std::all_of(path.begin(), path.end(), [&](char c) { return is_word(c) || kMarks.find(c) != kMarks.npos; });
}

}  // namespace

Result<std::string> parse_endpoint(std::string_view text) {
  constexpr const char* kWrong = "is not an address; write HOST:PORT, like 127.0.0.1:8080 or \"[::1]:8080\"";
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return invalid(kWrong);
  std::string_view host = text.substr(0, colon);
  if (host.empty() || host == "*") return invalid("has no host; write 0.0.0.0:PORT for every IPv4 address");
  const bool bracketed = host.size() >= 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const std::optional<Ip> ip = parse_ip(host);
  if (ip && ip->v6 && !bracketed) return invalid("is an IPv6 address without brackets; write \"[::1]:8080\"");
  if (!ip || (bracketed && !ip->v6)) return invalid(std::string(kWrong) + "; names are not looked up");
  const std::optional<unsigned> port = parse_small(text.substr(colon + 1), 65535);
  if (!port) return invalid("has a bad port; it is a number from 0 to 65535");
  return fmt::format(fmt::runtime(ip->v6 ? "[{}]:{}" : "{}:{}"), ip->text(), *port);
}

Result<std::string> parse_socket_path(std::string_view text) {
  if (text.empty()) return invalid("has no path");
  if (text.size() >= sizeof(sockaddr_un{}.sun_path))
    return invalid(
        fmt::format("is too long for a socket; its path has at most {} bytes", sizeof(sockaddr_un{}.sun_path) - 1));
  return std::string(text);
}

Result<std::string> parse_listen(std::string_view text) {
  if (!text.starts_with("unix:")) return parse_endpoint(text);
  const Result<std::string> path = parse_socket_path(text.substr(5));
  if (!path) return path;
  return std::string(text);
}

Result<std::string> parse_cidr(std::string_view text) {
  constexpr const char* kWrong = "is not an address range; write it like 10.0.0.0/8, ::1/128 or 192.0.2.7";
  const size_t slash = text.find('/');
  const std::optional<Ip> ip = parse_ip(text.substr(0, slash));
  if (!ip) return invalid(kWrong);
  unsigned prefix = ip->bits();
  if (slash != std::string_view::npos) {
    const std::optional<unsigned> given = parse_small(text.substr(slash + 1), ip->bits());
    if (!given) return invalid(fmt::format("has a bad prefix length; it is a number from 0 to {}", ip->bits()));
    prefix = *given;
  }
  Ip network = *ip;
  for (unsigned bit = prefix; bit < ip->bits(); ++bit)
    network.bytes[bit / 8] = static_cast<uint8_t>(network.bytes[bit / 8] & ~(0x80u >> (bit % 8)));
  if (network.bytes != ip->bytes)
    return invalid("has bits set below its prefix; write the network's first address, or a host without a prefix");
  return fmt::format("{}/{}", ip->text(), prefix);
}

Result<std::string> parse_public_url(std::string_view text) {
  constexpr const char* kWrong = "is not the URL of a host; write it like https://hooks.my-company.io";
  if (text.find_first_of("?#") != text.npos) return invalid("has a query or fragment; a base URL has none");
  while (text.ends_with('/')) text.remove_suffix(1);
  const size_t scheme_end = text.find("://");
  if (scheme_end == text.npos) return invalid("must begin with https:// or http://");
  std::string scheme = lower(text.substr(0, scheme_end));
  // A WebSocket's URL names the same host (RFC 6455 §3).
  if (scheme == "wss") scheme = "https";
  if (scheme == "ws") scheme = "http";
  if (scheme != "https" && scheme != "http") return invalid("must begin with https:// or http://");

  std::string_view authority = text.substr(scheme_end + 3);
  const std::string_view path = authority.substr(std::min(authority.find('/'), authority.size()));
  authority.remove_suffix(path.size());
  if (authority.find('@') != authority.npos) return invalid("has a user in it; a base URL has none");
  const size_t host_end = authority.starts_with('[') ? authority.find(']') + 1 : authority.find(':');
  const std::string_view host = authority.substr(0, host_end);
  if (!is_host(host) || !is_path(path)) return invalid(kWrong);
  const std::string_view port = authority.substr(host.size());
  if (!port.empty() && (port[0] != ':' || parse_small(port.substr(1), 65535).value_or(0) == 0))
    return invalid("has a bad port; it is a number from 1 to 65535");
  if (is_placeholder(lower(host))) return invalid("is a placeholder; set it to the address that providers call");
  return scheme + std::string(text.substr(scheme_end));
}

}  // namespace postern::config
