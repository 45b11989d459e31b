#include "core/client/url.h"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>
#include <memory>

namespace postern::client {
namespace {

constexpr size_t kMaxUrl = 8 * 1024;

using Handle = std::unique_ptr<CURLU, decltype(&curl_url_cleanup)>;

std::string part(CURLU* url, CURLUPart which, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, which, &text, flags) != CURLUE_OK) return {};
  std::string copy = text;
  curl_free(text);
  return copy;
}

std::string to_lower(std::string text) {
  for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return text;
}

// What curl's parser lets through although no URL has it.
bool has_strange_bytes(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](unsigned char c) { return c <= 0x20 || c == 0x7f || c == '\\'; });
}

// "/../admin" in any spelling that a server may undo: it would lead out of the base URL.
bool has_dot_segment(std::string_view path) {
  std::string plain;
  for (path = path.substr(0, path.find_first_of("?#")); !path.empty();) {
    std::string_view code = path.substr(0, 3);
    auto is = [&](std::string_view a, std::string_view b) { return code == a || code == b; };
    bool dot = is("%2e", "%2E"), slash = is("%2f", "%2F") || is("%5c", "%5C");
    plain += dot ? '.' : slash ? '/' : path[0];
    path.remove_prefix(dot || slash ? 3 : 1);
  }
  plain += '/';
  return plain.find("/./") != std::string::npos || plain.find("/../") != std::string::npos;
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x80; });
}

Result<Url> take_apart(CURLU* handle) {
  Url url;
  url.scheme = to_lower(part(handle, CURLUPART_SCHEME));
  if (url.scheme != "https" && url.scheme != "http") return Status(Code::kInvalid, "a URL must begin with https:// or http://");
  if (!part(handle, CURLUPART_USER).empty() || !part(handle, CURLUPART_PASSWORD).empty()) {
    return Status(Code::kInvalid, "a URL must not carry a name or password; use a header");
  }
  url.host = to_lower(part(handle, CURLUPART_HOST));
  while (url.host.ends_with('.')) url.host.pop_back();  // the same host, spelt otherwise
  if (url.host.empty() || has_strange_bytes(url.host)) return Status(Code::kInvalid, "a URL needs a host");
  // What it would become is another name than the one that is held against the list.
  if (!is_ascii(url.host)) return Status(Code::kInvalid, "a URL's host is written in ASCII: xn--… for others");
  std::string port = part(handle, CURLUPART_PORT, CURLU_DEFAULT_PORT);
  auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), url.port);
  if (error != std::errc() || url.port == 0) return Status(Code::kInvalid, "a URL's port is a number from 1 to 65535");
  curl_url_set(handle, CURLUPART_FRAGMENT, nullptr, 0);
  curl_url_set(handle, CURLUPART_HOST, url.host.c_str(), 0);
  url.whole = part(handle, CURLUPART_URL);
  if (url.whole.empty()) return Status(Code::kInvalid, "not a URL");
  return url;
}

struct HostPattern {
  std::string host;  // "*.example.com" without the star
  bool subdomains = false;
  uint16_t port = 0;  // 0: 80 and 443
};

Result<HostPattern> parse_pattern(std::string_view text) {
  Status bad(Code::kInvalid, "'" + std::string(text) + "' is no host; write api.example.com, *.example.com or api.example.com:8443");
  HostPattern pattern;
  size_t bracket = text.rfind(']');
  size_t colon = text.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (colon != std::string_view::npos) {
    std::string_view digits = text.substr(colon + 1);
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), pattern.port);
    if (error != std::errc() || end != digits.data() + digits.size() || pattern.port == 0) return bad;
    text = text.substr(0, colon);
  }
  pattern.subdomains = text.starts_with("*.");
  if (pattern.subdomains) text.remove_prefix(1);
  pattern.host = to_lower(std::string(text));
  bool fits = pattern.host.size() > (pattern.subdomains ? 1 : 0) && !has_strange_bytes(pattern.host) &&
              pattern.host.find_first_of("*/@?#") == std::string::npos;
  if (!fits) return bad;
  return pattern;
}

bool matches(const HostPattern& pattern, const Url& url) {
  bool host = pattern.subdomains ? url.host.size() > pattern.host.size() && url.host.ends_with(pattern.host) : url.host == pattern.host;
  return host && (pattern.port == 0 ? url.port == 80 || url.port == 443 : url.port == pattern.port);
}

// Of a whole URL.
Status may_go(const Upstream& upstream, const Url& url) {
  if (url.scheme != "https" && !upstream.allow_http) {
    return {Code::kDenied, url.shown() + ": only https is allowed there"};
  }
  for (const std::string& text : upstream.allow_hosts) {
    auto pattern = parse_pattern(text);
    if (pattern && matches(*pattern, url)) return Status::ok();
  }
  if (upstream.any_host) {
    if (url.port == 80 || url.port == 443) return Status::ok();
    return {Code::kDenied, url.shown() + ": only the ports 80 and 443 are allowed"};
  }
  if (upstream.allow_hosts.empty() && !upstream.base_url.empty()) {
    auto base = parse_url(upstream.base_url);
    if (base && base->same_origin(url)) return Status::ok();
  }
  return {Code::kDenied, url.shown() + ": this host is not among those that the upstream '" + upstream.name + "' allows"};
}

}  // namespace

std::string Url::shown() const { return whole.substr(0, whole.find('?')); }

Result<Url> parse_url(const std::string& text) {
  if (text.size() > kMaxUrl) return Status(Code::kInvalid, "a URL has at most 8 KiB");
  if (has_strange_bytes(text)) {
    return Status(Code::kInvalid, "a URL has no blanks, backslashes or control characters; encode them as %20 and so on");
  }
  Handle handle(curl_url(), &curl_url_cleanup);
  if (!handle || curl_url_set(handle.get(), CURLUPART_URL, text.c_str(), CURLU_NON_SUPPORT_SCHEME) != CURLUE_OK) {
    return Status(Code::kInvalid, "not a URL: write https://host/path");
  }
  return take_apart(handle.get());
}

Result<Url> resolve(const Url& from, const std::string& location) {
  if (location.size() > kMaxUrl || has_strange_bytes(location)) return Status(Code::kInvalid, "not a URL");
  Handle handle(curl_url(), &curl_url_cleanup);
  bool set = handle && curl_url_set(handle.get(), CURLUPART_URL, from.whole.c_str(), 0) == CURLUE_OK &&
             curl_url_set(handle.get(), CURLUPART_URL, location.c_str(), CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK;
  if (!set) return Status(Code::kInvalid, "not a URL");
  return take_apart(handle.get());
}

Status check_host_pattern(std::string_view pattern) { return parse_pattern(pattern).status(); }

Result<Destination> destination(const Upstream& upstream, const std::string& url) {
  if (!url.starts_with('/') || url.starts_with("//")) {
    auto whole = parse_url(url);
    if (!whole) return whole.status();
    if (Status s = may_go(upstream, *whole); !s) return s;
    return Destination{std::move(*whole), true};
  }
  if (upstream.base_url.empty()) return Status(Code::kInvalid, "the upstream '" + upstream.name + "' has no base URL: give a whole one");
  if (has_dot_segment(url)) return Status(Code::kDenied, "a path behind the base URL must not have '.' or '..' between its slashes");
  std::string base = upstream.base_url;
  while (base.ends_with('/')) base.pop_back();
  auto whole = parse_url(base + url);
  if (!whole) return whole.status();
  return Destination{std::move(*whole), false};
}

}  // namespace postern::client
