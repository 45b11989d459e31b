// The built plugin in a fake host, requests for it, and a signer of the tests' own: written after the provider's documentation
// alone, so that a mistake in the plugin cannot hide in its own mirror. Thread-safety: one test at a time.
#pragma once

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "postern/testing/fake_host.h"
#include "postern/testing/load_plugin.h"
#include "tests/support/places.h"

namespace twilio_test {

using nlohmann::json;
using postern::testing::FakeHost;
using postern::testing::Request;
using postern::testing::Verified;

constexpr const char* kToken = "12345";
constexpr const char* kConfig = R"({"auth_tokens":["12345"]})";
constexpr const char* kForm = "application/x-www-form-urlencoded";
constexpr const char* kAccount = "AC0123456789abcdef0123456789abcdef";
constexpr int64_t kArrival = 1'795'000'000'000;  // 2026-11-18T11:06:40Z, later than every time in the requests

inline const postern_plugin_entry& entry() {
  static const postern::testing::LoadedPlugin loaded = postern::testing::load_plugin(postern::testing::built("plugins/twilio.so"));
  if (!loaded) throw std::runtime_error(loaded.error);
  return *loaded.entry;
}

using Fields = std::vector<std::pair<std::string, std::string>>;

inline std::string encode(const std::string& text) {
  std::string encoded;
  for (unsigned char c : text) {
    char hex[4];
    std::snprintf(hex, sizeof hex, "%%%02X", c);
    encoded += std::isalnum(c) ? std::string(1, static_cast<char>(c)) : c == ' ' ? "+" : hex;
  }
  return encoded;
}
inline std::string to_form(const Fields& fields) {
  std::string body;
  for (const auto& [name, value] : fields) body += (body.empty() ? "" : "&") + encode(name) + "=" + encode(value);
  return body;
}

// base64(HMAC-SHA1(token, URL and, of each name in order, the name and value of each different value in order)).
inline std::string sign(const std::string& url, const Fields& fields = {}, const std::string& token = kToken) {
  std::map<std::string, std::set<std::string>> sorted;
  for (const auto& [name, value] : fields) sorted[name].insert(value);
  std::string message = url;
  for (const auto& [name, values] : sorted) {
    for (const std::string& value : values) message += name + value;
  }
  unsigned char mac[20];
  HMAC(EVP_sha1(), token.data(), static_cast<int>(token.size()), reinterpret_cast<const unsigned char*>(message.data()),
       message.size(), mac, nullptr);
  unsigned char text[29];
  EVP_EncodeBlock(text, mac, sizeof mac);
  return reinterpret_cast<const char*>(text);
}

inline std::string sha256_hex(const std::string& text) {
  unsigned char digest[32];
  EVP_Digest(text.data(), text.size(), digest, nullptr, EVP_sha256(), nullptr);
  std::string hex;
  for (unsigned char byte : digest) {
    char two[3];
    std::snprintf(two, sizeof two, "%02x", byte);
    hex += two;
  }
  return hex;
}

inline std::string target_of(const std::string& url) {
  size_t path = url.find('/', url.find("://") + 3);
  return path == url.npos ? "/" : url.substr(path);
}

// A request that came to `url`; no Content-Type header where `type` is empty.
inline Request request(const std::string& url, const std::string& body, const std::string& signature, const std::string& type) {
  Request request;
  request.target = target_of(url);
  request.body = body;
  if (!type.empty()) request.headers.emplace_back("Content-Type", type);
  request.headers.emplace_back("x-twilio-signature", signature);
  request.urls = {url};
  return request;
}
inline Request form_request(const std::string& url, const Fields& fields, const std::string& signature) {
  return request(url, to_form(fields), signature, kForm);
}

inline std::string join(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

// The plugin, started with a configuration and a public URL.
class Host : public FakeHost {
 public:
  explicit Host(const std::string& config = kConfig, const std::string& public_url = "https://hooks.example.org",
                bool trusts_proxies = false)
      : FakeHost(entry(), {.name = "twilio", .public_url = public_url, .trusts_proxies = trusts_proxies}) {
    auto started = start(config);
    EXPECT_TRUE(started.ok()) << started.error;
  }
  ~Host() { EXPECT_TRUE(misuses().empty()) << misuses().at(0); }

  // In service and for `postern verify` the verdict is the same.
  bool accepts(const Request& request) {
    Verified in_service = verify("twilio", request, {}, 0, false);
    Verified explained = verify("twilio", request);
    EXPECT_EQ(in_service.status, explained.status) << join(explained.lines);
    EXPECT_TRUE(in_service.status == POSTERN_OK || in_service.status == POSTERN_E_DENIED) << in_service.error;
    EXPECT_TRUE(in_service.lines.empty());
    return in_service.genuine();
  }
  std::string explain(const Request& request) { return join(verify("twilio", request).lines); }
};

}  // namespace twilio_test
