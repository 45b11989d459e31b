// HmacSha256: HMAC-SHA256 with one key, many times over. The two blocks that depend on the key alone are hashed once
// and copied as plain values; OpenSSL's EVP interface would allocate memory for each copy, a good part of a request's
// whole cost here. Thread-safety: const access from any thread.
#pragma once

#define OPENSSL_SUPPRESS_DEPRECATED  // SHA256_* is the only SHA-256 of OpenSSL 3 whose state is a plain value
#include <openssl/sha.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace postern::load {

class HmacSha256 {
 public:
  explicit HmacSha256(std::string_view key) {
    std::array<uint8_t, SHA256_CBLOCK> block{};
    if (key.size() > block.size()) {
      SHA256(reinterpret_cast<const uint8_t*>(key.data()), key.size(), block.data());
    } else {
      std::copy(key.begin(), key.end(), block.begin());
    }
    start(inner_, block, 0x36);
    start(outer_, block, 0x5c);
  }

  // The MAC of `a` followed by `b`.
  std::array<uint8_t, 32> sign(std::string_view a, std::string_view b) const {
    std::array<uint8_t, 32> digest;
    SHA256_CTX state = inner_;
    SHA256_Update(&state, a.data(), a.size());
    SHA256_Update(&state, b.data(), b.size());
    SHA256_Final(digest.data(), &state);
    state = outer_;
    SHA256_Update(&state, digest.data(), digest.size());
    SHA256_Final(digest.data(), &state);
    return digest;
  }

 private:
  static void start(SHA256_CTX& state, std::array<uint8_t, SHA256_CBLOCK> block, uint8_t pad) {
    for (auto& byte : block) byte ^= pad;
    SHA256_Init(&state);
    SHA256_Update(&state, block.data(), block.size());
  }

  SHA256_CTX inner_;
  SHA256_CTX outer_;
};

}  // namespace postern::load
