// SHA-256. Thread-safety: pure functions; a Sha256Stream belongs to one thread.
#pragma once

#include <openssl/sha.h>

#include <array>
#include <string>
#include <string_view>

namespace postern {

using Sha256 = std::array<unsigned char, 32>;

// The digest of what was added, one after the other.
class Sha256Stream {
 public:
  Sha256Stream();
  void add(std::string_view bytes);
  Sha256 finish();  // once

 private:
  SHA256_CTX state_;
};

Sha256 sha256(std::string_view bytes);

// 64 lower-case hexadecimal digits.
std::string to_hex(const Sha256& digest);
std::string sha256_hex(std::string_view bytes);

}  // namespace postern
