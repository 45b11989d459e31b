#include "core/signature/mac.h"

#include <openssl/core_names.h>
#include <openssl/params.h>

#include <string>
#include <utility>

namespace postern::signature {
namespace {

std::string digest_name(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::kHmacSha1:
      return "SHA1";
    case Algorithm::kHmacSha256:
      return "SHA256";
    case Algorithm::kHmacSha512:
      return "SHA512";
  }
  return {};
}

}  // namespace

size_t mac_size(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::kHmacSha1:
      return 20;
    case Algorithm::kHmacSha256:
      return 32;
    case Algorithm::kHmacSha512:
      return 64;
  }
  return 0;
}

Result<KeyedMac> KeyedMac::create(Algorithm algorithm, std::span<const unsigned char> key) {
  struct FreeMac {
    void operator()(EVP_MAC* mac) const { EVP_MAC_free(mac); }
  };
  const std::unique_ptr<EVP_MAC, FreeMac> hmac(EVP_MAC_fetch(nullptr, "HMAC", nullptr));
  Context context(hmac ? EVP_MAC_CTX_new(hmac.get()) : nullptr);
  std::string digest = digest_name(algorithm);
  const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest.data(), 0),
                                   OSSL_PARAM_construct_end()};
  if (!context || EVP_MAC_init(context.get(), key.data(), key.size(), parameters) != 1) {
    return Status(Code::kUnavailable, "OpenSSL offers no HMAC-" + digest + " with this key");
  }
  return KeyedMac(std::move(context));
}

bool KeyedMac::compute(std::span<const std::string_view> pieces, Mac& out) const {
  const Context running(EVP_MAC_CTX_dup(context_.get()));
  if (!running) return false;
  for (const std::string_view piece : pieces) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(piece.data());
    if (EVP_MAC_update(running.get(), bytes, piece.size()) != 1) return false;
  }
  size_t size = 0;
  return EVP_MAC_final(running.get(), out.data(), &size, out.size()) == 1;
}

}  // namespace postern::signature
