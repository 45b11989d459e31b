// OpenSSL 3 calls these functions old, and asks for EVP: that allocates memory for each digest, which is made for each request.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "core/base/digest.h"

namespace postern {

Sha256Stream::Sha256Stream() { SHA256_Init(&state_); }

void Sha256Stream::add(std::string_view bytes) { SHA256_Update(&state_, bytes.data(), bytes.size()); }

Sha256 Sha256Stream::finish() {
  Sha256 digest;
  SHA256_Final(digest.data(), &state_);
  return digest;
}

Sha256 sha256(std::string_view bytes) {
  Sha256Stream stream;
  stream.add(bytes);
  return stream.finish();
}

std::string sha256_hex(std::string_view bytes) { return to_hex(sha256(bytes)); }

std::string to_hex(const Sha256& digest) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(64);
  for (unsigned char byte : digest) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

}  // namespace postern
