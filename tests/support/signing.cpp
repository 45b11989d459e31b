#include "tests/support/signing.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <map>
#include <set>
#include <stdexcept>

namespace postern::testing {

namespace {

std::string hmac(const EVP_MD* digest, std::string_view key, std::string_view data) {
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (HMAC(digest, key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(data.data()),
           data.size(), mac, &size) == nullptr) {
    throw std::runtime_error("HMAC failed");
  }
  return {reinterpret_cast<char*>(mac), size};
}

}  // namespace

std::string hmac_sha1(std::string_view key, std::string_view data) { return hmac(EVP_sha1(), key, data); }
std::string hmac_sha256(std::string_view key, std::string_view data) { return hmac(EVP_sha256(), key, data); }

std::string hex(std::string_view bytes) {
  std::string text;
  for (const unsigned char byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

std::string base64(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // EVP_EncodeBlock ends with a NUL
  const int size =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  text.resize(static_cast<size_t>(size));
  return text;
}

std::optional<std::string> from_base64(std::string_view text) {
  std::string bytes(text.size() / 4 * 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (size < 0 || text.empty()) return std::nullopt;
  bytes.resize(static_cast<size_t>(size));
  for (size_t i = text.size(); i > 0 && text[i - 1] == '='; --i) bytes.pop_back();  // it counts the padding as bytes
  return bytes;
}

std::string random_bytes(size_t size) {
  std::string bytes(size, '\0');
  if (RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(size)) != 1) {
    throw std::runtime_error("no random bytes");
  }
  return bytes;
}

std::string new_standard_secret() { return "whsec_" + base64(random_bytes(32)); }
std::string new_legacy_key() { return base64(random_bytes(32)); }
std::string new_own_secret() { return hex(random_bytes(20)); }

std::string unix_milliseconds(int64_t offset) {
  using namespace std::chrono;
  return std::to_string(duration_cast<milliseconds>(system_clock::now().time_since_epoch() + seconds(offset)).count());
}

std::string unix_seconds(int64_t offset) {
  const std::string ms = unix_milliseconds(offset);
  return ms.substr(0, ms.size() - 3);
}

namespace {

std::string decoded(std::string_view key) {
  auto bytes = from_base64(key);
  if (!bytes) throw std::runtime_error("a secret of a test is not base64");
  return *bytes;
}

std::string joined(std::string_view timestamp, std::string_view body) {
  return std::string(timestamp) + "." + std::string(body);
}

}  // namespace

Headers sign_standard(std::string_view secret, std::string_view id, std::string_view timestamp, std::string_view body) {
  if (secret.starts_with("whsec_")) secret.remove_prefix(6);
  const std::string mac = hmac_sha256(decoded(secret), std::string(id) + "." + joined(timestamp, body));
  return {{"webhook-id", std::string(id)},
          {"webhook-timestamp", std::string(timestamp)},
          {"webhook-signature", "v1," + base64(mac)}};
}

Headers sign_legacy(std::string_view key, std::string_view timestamp, std::string_view body) {
  const std::string mac = hmac_sha256(decoded(key), joined(timestamp, body));
  return {{"openphone-signature", "hmac;1;" + std::string(timestamp) + ";" + base64(mac)}};
}

Headers sign_own(std::string_view secret, std::string_view timestamp, std::string_view body) {
  return {{"X-OpenPhone-Signature", hex(hmac_sha256(secret, joined(timestamp, body)))},
          {"X-OpenPhone-Timestamp", std::string(timestamp)}};
}

std::string form_body(const Form& form) {
  const auto encoded = [](std::string_view text) {
    std::string out;
    for (const char c : text) {
      const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
      if (plain || c == '-' || c == '.' || c == '_')
        out += c;
      else
        out += c == ' ' ? "+" : "%" + hex({&c, 1});
    }
    return out;
  };
  std::string body;
  for (const auto& [name, value] : form) body += (body.empty() ? "" : "&") + encoded(name) + "=" + encoded(value);
  return body;
}

std::string twilio_signature(std::string_view token, std::string_view url, const Form& form) {
  std::map<std::string, std::set<std::string>> sorted;
  for (const auto& [name, value] : form) sorted[name].insert(value);
  std::string message(url);
  for (const auto& [name, values] : sorted) {
    for (const auto& value : values) message += name + value;
  }
  return base64(hmac_sha1(token, message));
}

Headers sign_twilio(std::string_view token, std::string_view url, const Form& form) {
  return {{"X-Twilio-Signature", twilio_signature(token, url, form)}};
}

}  // namespace postern::testing
