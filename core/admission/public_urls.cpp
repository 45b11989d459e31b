#include "core/admission/public_urls.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "core/admission/forwarded.h"
#include "core/http/target.h"

namespace postern::admission {
namespace {

constexpr size_t kMaxHosts = 3;  // a chain of proxies may list several; each is one more URL to try

// The target without what an absolute form puts before it, exactly as it was sent.
std::string raw_target(const http::Request& request) {
  std::string target(request.path());
  if (target.empty()) target = "/";
  // A lone '?' is part of what was signed.
  if (request.target().find('?') != std::string_view::npos) target += "?" + std::string(request.query());
  return target;
}

// As it is written in URLs that are signed; nothing when it is another one.
std::optional<std::string_view> scheme_of(std::string_view text) {
  for (std::string_view scheme : {"https", "http"}) {
    if (http::equals_ignoring_case(text, scheme)) return scheme;
  }
  return std::nullopt;
}

bool has_port(std::string_view authority) {
  size_t colon = authority.rfind(':');
  return colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos;
}

struct Told {
  std::vector<std::string> schemes, hosts;
  std::string port;
};

void add(std::vector<std::string>& list, std::string_view text) {
  bool known = std::find(list.begin(), list.end(), text) != list.end();
  if (!known && list.size() < kMaxHosts) list.emplace_back(text);
}

// What the proxies said. The header of each proxy software is another one, and a proxy passes on those that it does not write.
Told told_by_proxies(const http::Request& request) {
  Told told;
  for (std::string_view element : list_elements(request, "forwarded")) {
    auto proto = forwarded_parameter(element, "proto");
    if (auto scheme = proto ? scheme_of(*proto) : std::nullopt) add(told.schemes, *scheme);
    if (auto host = forwarded_parameter(element, "host"); host && http::is_authority(*host)) add(told.hosts, *host);
  }
  for (std::string_view proto : list_elements(request, "x-forwarded-proto")) {
    if (auto scheme = scheme_of(proto)) add(told.schemes, *scheme);
  }
  for (std::string_view host : list_elements(request, "x-forwarded-host")) {
    if (http::is_authority(host)) add(told.hosts, host);
  }
  auto ports = list_elements(request, "x-forwarded-port");
  if (!ports.empty() && http::is_authority("h:" + std::string(ports.front()))) told.port = ports.front();
  return told;
}

void add_url(std::vector<std::string>& urls, std::string url) {
  if (urls.size() < kMaxUrls && std::find(urls.begin(), urls.end(), url) == urls.end()) urls.push_back(std::move(url));
}

}  // namespace

std::vector<std::string> public_urls(const http::Request& request, const std::string& peer, const UrlSource& source) {
  std::vector<std::string> urls;
  const std::string target = raw_target(request);
  if (!source.public_url.empty()) {
    add_url(urls, source.public_url + target);
    return urls;
  }
  if (!is_trusted(peer, source.trusted_proxies)) return urls;
  Told told = told_by_proxies(request);
  auto host = request.header("host");
  if (told.hosts.empty() && host && http::is_authority(*host)) add(told.hosts, *host);
  if (told.schemes.empty()) told.schemes = {"https", "http"};
  for (const std::string& scheme : told.schemes) {
    for (const std::string& host : told.hosts) {
      if (!told.port.empty() && !has_port(host)) add_url(urls, scheme + "://" + host + ":" + told.port + target);
      add_url(urls, scheme + "://" + host + target);
    }
  }
  return urls;
}

}  // namespace postern::admission
