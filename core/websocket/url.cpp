#include <charconv>

#include "core/base/encoding.h"
#include "core/http/characters.h"
#include "core/http/target.h"
#include "core/websocket/connector.h"

namespace postern::websocket {
namespace {

// HOST[:PORT], which is_authority() has let pass.
void split_authority(std::string_view authority, uint16_t fallback, std::string& host, uint16_t& port) {
  const size_t bracket = authority.find(']');
  const size_t colon = authority.rfind(':');
  const bool has_port = colon != authority.npos && (bracket == authority.npos || colon > bracket);
  std::string_view name = has_port ? authority.substr(0, colon) : authority;
  if (name.starts_with('[')) name = name.substr(1, name.size() - 2);
  host = name;
  port = fallback;
  if (has_port) std::from_chars(authority.data() + colon + 1, authority.data() + authority.size(), port);
}

bool take(std::string_view& text, std::string_view scheme) {
  if (text.size() < scheme.size() || !http::equals_ignoring_case(text.substr(0, scheme.size()), scheme)) return false;
  text.remove_prefix(scheme.size());
  return true;
}

}  // namespace

Result<Url> parse_url(std::string_view text) {
  Url url;
  url.secure = take(text, "wss://");
  if (!url.secure && !take(text, "ws://")) return Status(Code::kInvalid, "is not a WebSocket's URL; write it like wss://api.example.com/v1");
  url.authority = text.substr(0, text.find_first_of("/?#"));
  url.target = text.substr(url.authority.size());
  if (!http::is_authority(url.authority)) return Status(Code::kInvalid, "has no host, or what is none");
  if (!http::all_chars(url.target, http::kTargetChar)) return Status(Code::kInvalid, "has a character that must be escaped, or a fragment");
  if (!url.target.starts_with('/')) url.target.insert(0, "/");
  split_authority(url.authority, url.secure ? 443 : 80, url.host, url.port);
  return url;
}

Result<Proxy> parse_proxy(std::string_view text) {
  if (!take(text, "http://")) return Status(Code::kInvalid, "is not a proxy; write it like http://proxy.example.com:3128");
  if (text.ends_with('/')) text.remove_suffix(1);
  Proxy proxy;
  if (const size_t at = text.rfind('@'); at != text.npos) {
    const std::string_view user = text.substr(0, at);
    proxy.authorization = "Basic " + encode_base64(std::span(reinterpret_cast<const unsigned char*>(user.data()), user.size()));
    text.remove_prefix(at + 1);
  }
  if (!http::is_authority(text)) return Status(Code::kInvalid, "has no host, or what is none");
  split_authority(text, 80, proxy.host, proxy.port);
  return proxy;
}

}  // namespace postern::websocket
