#include "message.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <algorithm>
#include <memory>
#include <stdexcept>

namespace twilio {
namespace {

constexpr size_t kMaxUrls = 12, kMaxHandshakeUrls = 64;
constexpr size_t kEncodedBytes = 28;

using MacContext = std::unique_ptr<EVP_MAC_CTX, decltype(&EVP_MAC_CTX_free)>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

void need(bool done) {
  if (!done) throw std::runtime_error("OpenSSL refuses HMAC-SHA1 or SHA-256");
}

EVP_MAC* hmac() {
  static EVP_MAC* const fetched = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  return fetched;
}

bool equals_ignoring_case(std::string_view text, std::string_view lower) {
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a + ('a' - 'A') : a) == b; });
}

std::string_view default_port(std::string_view scheme) {
  if (equals_ignoring_case(scheme, "https") || equals_ignoring_case(scheme, "wss")) return ":443";
  if (equals_ignoring_case(scheme, "http") || equals_ignoring_case(scheme, "ws")) return ":80";
  return "";
}

std::string join(const UrlParts& parts, std::string_view port) {
  std::string url(parts.scheme);
  return url.append("://").append(parts.host).append(port).append(parts.rest);
}

// Candidates, each once, up to a bound: each costs an HMAC for every token.
class Candidates {
 public:
  explicit Candidates(size_t limit) : limit_(limit) {}
  void add(std::string url) {
    bool known = std::find(urls_.begin(), urls_.end(), url) != urls_.end();
    if (!known && urls_.size() < limit_) urls_.push_back(std::move(url));
  }
  void add_with_ports(const UrlParts& parts) {
    add(join(parts, parts.port));
    add(join(parts, ""));
    if (parts.port.empty()) add(join(parts, default_port(parts.scheme)));
  }
  std::vector<std::string> take() { return std::move(urls_); }

 private:
  size_t limit_;
  std::vector<std::string> urls_;
};

// "/a?b" → "/a/?b"
std::string with_slash(std::string_view rest) {
  std::string_view path = rest.substr(0, rest.find_first_of("?#"));
  return std::string(path).append(path.ends_with('/') ? "" : "/").append(rest.substr(path.size()));
}

}  // namespace

std::optional<UrlParts> split_url(std::string_view url) {
  size_t scheme = url.find("://");
  if (scheme == url.npos || scheme == 0) return std::nullopt;
  UrlParts parts;
  parts.scheme = url.substr(0, scheme);
  url.remove_prefix(scheme + 3);
  std::string_view authority = url.substr(0, url.find_first_of("/?#"));
  parts.rest = url.substr(authority.size());
  size_t user = authority.rfind('@');
  if (user != authority.npos) authority.remove_prefix(user + 1);
  size_t bracket = authority.starts_with('[') ? authority.find(']') : authority.npos;
  size_t colon = authority.find(':', bracket == authority.npos ? 0 : bracket);
  parts.host = authority.substr(0, colon);
  parts.port = authority.substr(parts.host.size());
  return parts;
}

std::string parameter_text(std::vector<Parameter> parameters) {
  std::sort(parameters.begin(), parameters.end());  // of char_traits<char>: as unsigned bytes
  parameters.erase(std::unique(parameters.begin(), parameters.end()), parameters.end());
  size_t size = 0;
  for (const auto& [name, value] : parameters) size += name.size() + value.size();
  std::string text;
  text.reserve(size);
  for (const auto& [name, value] : parameters) text.append(name).append(value);
  return text;
}

std::vector<std::string> signed_urls(const std::vector<std::string_view>& urls) {
  Candidates candidates(kMaxUrls);
  for (std::string_view url : urls) {
    if (auto parts = split_url(url)) candidates.add_with_ports(*parts);
  }
  return candidates.take();
}

std::vector<std::string> handshake_urls(const std::vector<std::string_view>& urls) {
  Candidates candidates(kMaxHandshakeUrls);
  for (std::string_view url : urls) {
    auto parts = split_url(url);
    if (!parts) continue;
    bool plain = equals_ignoring_case(parts->scheme, "http") || equals_ignoring_case(parts->scheme, "ws");
    const std::string rest(parts->rest), slashed = with_slash(rest);
    for (std::string_view scheme : {"wss", "https", "ws", "http"}) {
      if (!plain && default_port(scheme) == ":80") break;
      for (const std::string& variant : {rest, slashed}) {
        candidates.add_with_ports({scheme, parts->host, parts->port, variant});
        if (scheme == "wss" && parts->port.empty()) candidates.add(join({scheme, parts->host, "", variant}, ":80"));
      }
    }
  }
  return candidates.take();
}

Digest hmac_sha1(std::string_view key, std::string_view url, std::string_view parameters) {
  need(hmac() != nullptr);
  MacContext context(EVP_MAC_CTX_new(hmac()), &EVP_MAC_CTX_free);
  need(context != nullptr);
  char sha1[] = "SHA1";
  const OSSL_PARAM settings[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha1, 0), OSSL_PARAM_construct_end()};
  need(EVP_MAC_init(context.get(), bytes_of(key), key.size(), settings) == 1);
  need(EVP_MAC_update(context.get(), bytes_of(url), url.size()) == 1);
  need(EVP_MAC_update(context.get(), bytes_of(parameters), parameters.size()) == 1);
  Digest digest{};
  size_t size = 0;
  need(EVP_MAC_final(context.get(), digest.data(), &size, digest.size()) == 1 && size == digest.size());
  return digest;
}

std::string sha256_hex(std::string_view a, std::string_view b) {
  DigestContext context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  need(context != nullptr && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1);
  need(EVP_DigestUpdate(context.get(), a.data(), a.size()) == 1 && EVP_DigestUpdate(context.get(), b.data(), b.size()) == 1);
  std::array<unsigned char, 32> digest{};
  need(EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) == 1);
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string hex;
  for (unsigned char byte : digest) hex.append(1, kHex[byte >> 4]).append(1, kHex[byte & 15]);
  return hex;
}

std::string encode_base64(const Digest& digest) {
  std::array<unsigned char, kEncodedBytes + 1> text{};
  EVP_EncodeBlock(text.data(), digest.data(), static_cast<int>(digest.size()));
  return std::string(reinterpret_cast<const char*>(text.data()), kEncodedBytes);
}

std::optional<Digest> decode_base64(std::string_view text) {
  if (text.size() != kEncodedBytes) return std::nullopt;
  std::array<unsigned char, 21> bytes{};
  if (EVP_DecodeBlock(bytes.data(), bytes_of(text), static_cast<int>(text.size())) != static_cast<int>(bytes.size()))
    return std::nullopt;
  Digest digest{};
  std::copy_n(bytes.begin(), digest.size(), digest.begin());
  // EVP_DecodeBlock passes over blanks and over bits that do not count.
  return encode_base64(digest) == text ? std::optional(digest) : std::nullopt;
}

bool equal_secretly(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}
bool equal_secretly(const Digest& a, const Digest& b) { return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0; }

std::vector<std::string_view> query_values(std::string_view target, std::string_view name) {
  std::vector<std::string_view> values;
  size_t mark = target.find('?');
  std::string_view query = mark == target.npos ? std::string_view() : target.substr(mark + 1);
  while (!query.empty()) {
    std::string_view part = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), part.size() + 1));
    size_t equals = std::min(part.find('='), part.size());
    if (part.substr(0, equals) == name) values.push_back(part.substr(std::min(part.size(), equals + 1)));
  }
  return values;
}

}  // namespace twilio
