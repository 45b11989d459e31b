// OpenSSL 3 calls these functions old, and asks for EVP_MAC: that allocates memory ten times for each message, which costs as much as the
// hashing itself.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "core/signature/mac.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <utility>

namespace postern::signature {
namespace {

struct Sha1 {
  using State = SHA_CTX;
  static constexpr size_t kBlock = SHA_CBLOCK, kDigest = SHA_DIGEST_LENGTH;
  static constexpr auto init = SHA1_Init;
  static constexpr auto update = SHA1_Update;
  static constexpr auto final = SHA1_Final;
};

struct Sha256 {
  using State = SHA256_CTX;
  static constexpr size_t kBlock = SHA256_CBLOCK, kDigest = SHA256_DIGEST_LENGTH;
  static constexpr auto init = SHA256_Init;
  static constexpr auto update = SHA256_Update;
  static constexpr auto final = SHA256_Final;
};

struct Sha512 {
  using State = SHA512_CTX;
  static constexpr size_t kBlock = SHA512_CBLOCK, kDigest = SHA512_DIGEST_LENGTH;
  static constexpr auto init = SHA512_Init;
  static constexpr auto update = SHA512_Update;
  static constexpr auto final = SHA512_Final;
};

}  // namespace

// H(key ^ opad, H(key ^ ipad, message)); a key longer than a block is hashed first (RFC 2104 §2).
template <typename Hash>
class KeyedMac::Hmac final : public Prepared {
 public:
  explicit Hmac(std::span<const unsigned char> key) {
    Block block{};
    if (key.size() > block.size()) {
      State state;
      Hash::init(&state);
      Hash::update(&state, key.data(), key.size());
      Hash::final(block.data(), &state);
      OPENSSL_cleanse(&state, sizeof state);
    } else {
      std::copy(key.begin(), key.end(), block.begin());
    }
    start(inner_, block, 0x36);
    start(outer_, block, 0x5c);
    OPENSSL_cleanse(block.data(), block.size());
  }
  ~Hmac() override {
    OPENSSL_cleanse(&inner_, sizeof inner_);
    OPENSSL_cleanse(&outer_, sizeof outer_);
  }

  void compute(std::span<const std::string_view> pieces, Mac& out) const override {
    State state = inner_;
    for (std::string_view piece : pieces) Hash::update(&state, piece.data(), piece.size());
    Hash::final(out.data(), &state);
    state = outer_;
    Hash::update(&state, out.data(), Hash::kDigest);
    Hash::final(out.data(), &state);
    OPENSSL_cleanse(&state, sizeof state);
  }

 private:
  using State = typename Hash::State;
  using Block = std::array<unsigned char, Hash::kBlock>;

  static void start(State& state, const Block& key, unsigned char pad) {
    Block block;
    std::transform(key.begin(), key.end(), block.begin(), [pad](unsigned char byte) { return static_cast<unsigned char>(byte ^ pad); });
    Hash::init(&state);
    Hash::update(&state, block.data(), block.size());
    OPENSSL_cleanse(block.data(), block.size());
  }

  State inner_, outer_;
};

size_t mac_size(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::kHmacSha1:
      return Sha1::kDigest;
    case Algorithm::kHmacSha256:
      return Sha256::kDigest;
    case Algorithm::kHmacSha512:
      return Sha512::kDigest;
  }
  return 0;
}

Result<KeyedMac> KeyedMac::create(Algorithm algorithm, std::span<const unsigned char> key) {
  switch (algorithm) {
    case Algorithm::kHmacSha1:
      return KeyedMac(std::make_unique<Hmac<Sha1>>(key));
    case Algorithm::kHmacSha256:
      return KeyedMac(std::make_unique<Hmac<Sha256>>(key));
    case Algorithm::kHmacSha512:
      return KeyedMac(std::make_unique<Hmac<Sha512>>(key));
  }
  return Status(Code::kInvalid, "no such algorithm");
}

}  // namespace postern::signature
