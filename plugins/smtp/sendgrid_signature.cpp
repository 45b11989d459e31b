#include "sendgrid_signature.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <stdexcept>

namespace smtp {
namespace {

using postern::Verification;
using std::chrono::milliseconds;

// The DER of a public key is 59 bytes or 91, that of a signature 72 at most.
constexpr size_t kMaxKey = 256, kMaxSignature = 96, kMaxDigits = 15;

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Digest = std::array<unsigned char, 32>;

bool is_base64(std::string_view text) {
  const size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
  return !text.empty() && text.size() % 4 == 0 && std::all_of(text.begin(), text.end() - static_cast<ptrdiff_t>(padding), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
  });
}

// EVP_DecodeBlock() alone passes over blanks, and counts the padding's bytes.
std::optional<std::string> decode_base64(std::string_view text, size_t most) {
  if (text.size() > most || !is_base64(text)) return std::nullopt;
  std::string bytes(text.size() / 4 * 3, '\0');
  const auto* from = reinterpret_cast<const unsigned char*>(text.data());
  const int got = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()), from, static_cast<int>(text.size()));
  if (got < 0) return std::nullopt;
  bytes.resize(static_cast<size_t>(got) - (text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0));
  return bytes;
}

Key read_key(std::string_view text) {
  Key none(nullptr, &EVP_PKEY_free);
  const auto der = decode_base64(text, kMaxKey);
  if (!der) return none;
  const auto* at = reinterpret_cast<const unsigned char*>(der->data());
  const unsigned char* const end = at + der->size();
  Key key(d2i_PUBKEY(nullptr, &at, static_cast<long>(der->size())), &EVP_PKEY_free);
  ERR_clear_error();
  return key && at == end ? std::move(key) : std::move(none);
}

bool is_p256(const Key& key) {
  std::array<char, 64> curve{};
  size_t size = 0;
  const bool named =
      EVP_PKEY_get_base_id(key.get()) == EVP_PKEY_EC && EVP_PKEY_get_group_name(key.get(), curve.data(), curve.size(), &size) == 1;
  ERR_clear_error();
  return named && std::string_view(curve.data(), size) == SN_X9_62_prime256v1;
}

Digest digest_of(std::string_view timestamp, std::string_view body) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  Digest digest{};
  const bool made = context && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1 &&
                    EVP_DigestUpdate(context.get(), timestamp.data(), timestamp.size()) == 1 &&
                    EVP_DigestUpdate(context.get(), body.data(), body.size()) == 1 &&
                    EVP_DigestFinal_ex(context.get(), digest.data(), nullptr) == 1;
  if (!made) throw std::runtime_error("OpenSSL computes no SHA-256");
  return digest;
}

// OpenSSL takes DER alone, with nothing behind it.
bool is_signature_of(const Key& key, const Digest& digest, std::string_view signature) {
  const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> context(EVP_PKEY_CTX_new(key.get(), nullptr), &EVP_PKEY_CTX_free);
  if (!context || EVP_PKEY_verify_init(context.get()) != 1 || EVP_PKEY_CTX_set_signature_md(context.get(), EVP_sha256()) != 1) {
    throw std::runtime_error("OpenSSL verifies no ECDSA");
  }
  const int fits = EVP_PKEY_verify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()), signature.size(), digest.data(),
                                   digest.size());
  ERR_clear_error();
  return fits == 1;
}

std::optional<std::string_view> header_once(const Verification& request, std::string_view name) {
  const auto value = request.header(name);
  if (!value) return request.explain("no header " + std::string(name)), std::nullopt;
  if (request.header(name, 1)) return request.explain("the header " + std::string(name) + " is there more than once"), std::nullopt;
  return value;
}

bool is_fresh(const Verification& request, std::string_view timestamp, milliseconds tolerance) {
  int64_t seconds = 0;
  const char* const end = timestamp.data() + timestamp.size();
  const bool digits = !timestamp.empty() && timestamp.size() <= kMaxDigits &&
                      std::all_of(timestamp.begin(), timestamp.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || std::from_chars(timestamp.data(), end, seconds).ptr != end) {
    request.explain("the timestamp must be Unix seconds, 1 to 15 digits");
    return false;
  }
  const int64_t age_ms = request.now().time_since_epoch().count() - seconds * 1'000;
  const bool fresh = age_ms <= tolerance.count() && age_ms >= -tolerance.count();
  request.explain("the timestamp is " + std::to_string(age_ms) + " ms old; " + std::to_string(tolerance.count()) +
                  " ms either way are allowed" + (fresh ? "" : ": inbound.sendgrid.tolerance says so"));
  return fresh;
}

std::string hex(const Digest& digest) {
  std::string text;
  for (const unsigned char byte : digest) text.append(1, "0123456789abcdef"[byte >> 4]).append(1, "0123456789abcdef"[byte & 15]);
  return text;
}

bool check_signature(const Verification& request, std::string_view timestamp, std::string_view signature) {
  const Digest digest = digest_of(timestamp, request.body());
  request.explain("signed are " + std::to_string(timestamp.size() + request.body().size()) + " bytes, timestamp and body, SHA-256 " +
                  hex(digest));
  size_t number = 0;
  for (const std::string_view text : request.secrets()) {
    ++number;
    const Key key = read_key(text);
    const bool usable = key && is_p256(key);
    const bool fits = usable && is_signature_of(key, digest, signature);
    request.explain("public key " + std::to_string(number) + (fits ? ": fits" : usable ? ": does not fit" : ": is no P-256 key in base64"));
    if (fits) return true;
  }
  return false;
}

}  // namespace

std::optional<std::string> fault_of_sendgrid_key(const std::string& text) {
  if (text.starts_with("-----")) return "must be the base64 alone, in one line, without the lines of PEM around it";
  const Key key = read_key(text);
  if (!key) return "is no public key as SendGrid shows it: base64, in one line (124 characters, MFkw…)";
  if (!is_p256(key)) return "is a key of another kind: SendGrid signs by ECDSA with P-256 (prime256v1)";
  return std::nullopt;
}

bool verify_sendgrid(const Verification& request, milliseconds tolerance) {
  const auto header = header_once(request, kSendgridSignature);
  const auto timestamp = header_once(request, kSendgridTimestamp);
  if (!header || !timestamp) return false;
  const auto signature = decode_base64(*header, kMaxSignature * 2);
  if (!signature || signature->size() > kMaxSignature) return request.explain("the signature is no base64 of an ECDSA signature"), false;
  const bool fresh = is_fresh(request, *timestamp, tolerance);
  if (!fresh && !request.explaining()) return false;
  return check_signature(request, *timestamp, *signature) && fresh;
}

}  // namespace smtp
