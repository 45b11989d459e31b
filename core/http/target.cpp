#include "core/http/target.h"

#include <arpa/inet.h>
#include <simdjson.h>

#include <algorithm>
#include <array>

#include "core/base/broken.h"
#include "core/http/characters.h"
#include "core/http/request.h"

namespace postern::http {
namespace {

// "%41" at `at` → 'A'; -1 unless two hexadecimal digits follow the '%'.
int decode_percent(std::string_view text, size_t at) {
  if (text.size() - at < 3) return -1;
  const int high = hex_value(text[at + 1]);
  const int low = hex_value(text[at + 2]);
  return high < 0 || low < 0 ? -1 : high << 4 | low;
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const int byte = decode_percent(text, i);
    if (byte < 0) return std::nullopt;
    out += static_cast<char>(byte);
    i += 2;
  }
  return out;
}

// Whether a decoded segment means the same to whoever reads it. Attack: traversal and route bypass, where the check and
// the use decode differently often ("%252e%252e%252f") or take other bytes for a separator.
bool is_plain_segment(std::string_view segment) {
  if (segment == "." || segment == "..") return false;
  for (size_t i = 0; i < segment.size(); ++i) {
    const auto c = static_cast<unsigned char>(segment[i]);
    if (c < 0x20 || c == 0x7f || c == '/' || c == '\\') return false;
    if (c == '%' && decode_percent(segment, i) >= 0 && !broken::kDecodeTwice) return false;
  }
  return is_utf8(segment);
}

bool is_port(std::string_view text) {
  if (text.empty() || text.size() > 5 || !all_chars(text, kDigitChar)) return false;
  unsigned port = 0;
  for (const char c : text) port = port * 10 + static_cast<unsigned>(c - '0');
  return port >= 1 && port <= 65535;
}

bool is_ipv6_address(std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  if (text.size() >= buffer.size() || text.find('\0') != std::string_view::npos) return false;
  std::copy(text.begin(), text.end(), buffer.begin());
  in6_addr address{};
  return inet_pton(AF_INET6, buffer.data(), &address) == 1;
}

TargetParts split_query(std::string_view target) {
  const size_t mark = target.find('?');
  if (mark == std::string_view::npos) return {target, {}};
  return {target.substr(0, mark), target.substr(mark + 1)};
}

}  // namespace

bool is_utf8(std::string_view text) { return simdjson::validate_utf8(text.data(), text.size()); }

std::optional<std::vector<std::string>> decode_path(std::string_view path) {
  if (path.empty() || path.front() != '/') return std::nullopt;
  std::vector<std::string> segments;
  segments.reserve(static_cast<size_t>(std::count(path.begin(), path.end(), '/')));
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::string_view raw = path.substr(0, path.find('/'));
    path.remove_prefix(raw.size());
    std::optional<std::string> segment = percent_decode(raw);
    if (!segment || !is_plain_segment(*segment)) return std::nullopt;
    segments.push_back(std::move(*segment));
  }
  return segments;
}

std::optional<std::string> decode_component(std::string_view text) {
  std::string spaced(text);
  std::replace(spaced.begin(), spaced.end(), '+', ' ');
  std::optional<std::string> out = percent_decode(spaced);
  if (out && !is_utf8(*out)) return std::nullopt;
  return out;
}

std::optional<std::string> query_parameter(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    const size_t sign = std::min(pair.find('='), pair.size());
    if (decode_component(pair.substr(0, sign)) != name) continue;
    return decode_component(sign == pair.size() ? std::string_view() : pair.substr(sign + 1));
  }
  return std::nullopt;
}

bool is_authority(std::string_view text) {
  size_t host_end = 0;
  if (!text.empty() && text.front() == '[') {
    const size_t bracket = text.find(']');
    if (bracket == std::string_view::npos || !is_ipv6_address(text.substr(1, bracket - 1))) return false;
    host_end = bracket + 1;
  } else {
    host_end = std::min(text.find(':'), text.size());
    if (host_end == 0 || !all_chars(text.substr(0, host_end), kHostChar)) return false;
  }
  const std::string_view rest = text.substr(host_end);
  return rest.empty() || (rest.front() == ':' && is_port(rest.substr(1)));
}

std::optional<TargetParts> split_target(std::string_view method, std::string_view target) {
  if (target.empty() || method == "CONNECT") return std::nullopt;
  if (target.front() == '/') return split_query(target);
  if (target == "*" && method == "OPTIONS") return TargetParts{target, {}};

  const size_t scheme_end = target.find("://");
  if (scheme_end == std::string_view::npos) return std::nullopt;
  const std::string_view scheme = target.substr(0, scheme_end);
  if (!equals_ignoring_case(scheme, "http") && !equals_ignoring_case(scheme, "https")) return std::nullopt;
  const size_t host_begin = scheme_end + 3;
  const size_t host_end = std::min(target.find_first_of("/?", host_begin), target.size());
  if (!is_authority(target.substr(host_begin, host_end - host_begin))) return std::nullopt;

  TargetParts parts = split_query(target.substr(host_end));
  // The "/" that the path means must be a part of the target: the first one behind the scheme serves.
  if (parts.path.empty()) parts.path = target.substr(scheme_end + 1, 1);
  return parts;
}

}  // namespace postern::http
