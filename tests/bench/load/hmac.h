// Hmac: HMAC with one key, many times over. The two blocks that depend on the key alone are hashed once and copied as
// plain values; OpenSSL's EVP interface would allocate memory for each copy, a good part of a request's whole cost here.
// Thread-safety: const access from any thread.
#pragma once

#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

namespace postern::load {

struct Sha1 {
  using State = SHA_CTX;
  static constexpr size_t kBlock = SHA_CBLOCK;
  static constexpr size_t kDigest = SHA_DIGEST_LENGTH;
  static constexpr auto init = SHA1_Init;
  static constexpr auto update = SHA1_Update;
  static constexpr auto final = SHA1_Final;
};

struct Sha256 {
  using State = SHA256_CTX;
  static constexpr size_t kBlock = SHA256_CBLOCK;
  static constexpr size_t kDigest = SHA256_DIGEST_LENGTH;
  static constexpr auto init = SHA256_Init;
  static constexpr auto update = SHA256_Update;
  static constexpr auto final = SHA256_Final;
};

template <class Hash>
class Hmac {
 public:
  using Digest = std::array<uint8_t, Hash::kDigest>;

  explicit Hmac(std::string_view key) {
    Block block{};
    if (key.size() > block.size()) {
      State state;
      Hash::init(&state);
      Hash::update(&state, key.data(), key.size());
      Hash::final(block.data(), &state);
    } else {
      std::copy(key.begin(), key.end(), block.begin());
    }
    start(inner_, block, 0x36);
    start(outer_, block, 0x5c);
  }

  // The MAC of `a` followed by `b`.
  Digest sign(std::string_view a, std::string_view b = {}) const {
    Digest digest;
    State state = inner_;
    Hash::update(&state, a.data(), a.size());
    Hash::update(&state, b.data(), b.size());
    Hash::final(digest.data(), &state);
    state = outer_;
    Hash::update(&state, digest.data(), digest.size());
    Hash::final(digest.data(), &state);
    return digest;
  }

 private:
  using State = typename Hash::State;
  using Block = std::array<uint8_t, Hash::kBlock>;

  static void start(State& state, Block block, uint8_t pad) {
    for (auto& byte : block) byte ^= pad;
    Hash::init(&state);
    Hash::update(&state, block.data(), block.size());
  }

  State inner_;
  State outer_;
};

using HmacSha1 = Hmac<Sha1>;
using HmacSha256 = Hmac<Sha256>;

}  // namespace postern::load
