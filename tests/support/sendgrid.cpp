#include "tests/support/sendgrid.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <stdexcept>

namespace postern::testing {

SendgridKey::SendgridKey(const std::string& curve)
    : key_(curve == "RSA" ? EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", size_t{2048})
                          : EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", curve.c_str()),
           &EVP_PKEY_free) {
  if (!key_) throw std::runtime_error("no key of " + curve);
}

std::string SendgridKey::public_key() const {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key_.get(), &der);
  if (size <= 0) throw std::runtime_error("i2d_PUBKEY");
  const std::string text = base64({reinterpret_cast<const char*>(der), static_cast<size_t>(size)});
  OPENSSL_free(der);
  return text;
}

std::string SendgridKey::signature(std::string_view timestamp, std::string_view body) const {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  const std::string data = std::string(timestamp) + std::string(body);
  const auto* from = reinterpret_cast<const unsigned char*>(data.data());
  size_t size = 0;
  std::string der(1'024, '\0');
  size = der.size();
  if (EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key_.get()) != 1 ||
      EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(der.data()), &size, from, data.size()) != 1) {
    throw std::runtime_error("EVP_DigestSign");
  }
  der.resize(size);
  return der;
}

Headers SendgridKey::sign(std::string_view timestamp, std::string_view body) const {
  return {{std::string(kSendgridSignatureHeader), base64(signature(timestamp, body))},
          {std::string(kSendgridTimestampHeader), std::string(timestamp)}};
}

}  // namespace postern::testing
