#include "token_book.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <charconv>
#include <stdexcept>

namespace openai_realtime {
namespace {

constexpr size_t kNonceBytes = 16, kSealBytes = 16;
constexpr size_t kMaxUsed = 100'000;  // the oldest of more is forgotten
constexpr size_t kMaxToken = 128;

std::string to_hex(const unsigned char* bytes, size_t size) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (size_t i = 0; i < size; ++i) text += {kDigits[bytes[i] >> 4], kDigits[bytes[i] & 15]};
  return text;
}

}  // namespace

// Letters and digits alone, so that it is a path's segment and an attribute as it is: EXPIRY "x" NONCE "x" SEAL.
std::string TokenBook::make(std::string_view call, int64_t now_ms) {
  unsigned char nonce[kNonceBytes];
  if (RAND_bytes(nonce, sizeof nonce) != 1) throw std::runtime_error("there is no randomness");
  const std::string head = std::to_string(now_ms + kValidMs) + "x" + to_hex(nonce, sizeof nonce);
  return head + "x" + seal(head, call);
}

bool TokenBook::take(std::string_view token, std::string_view call, int64_t now_ms) {
  const size_t last = token.rfind('x');
  if (token.size() > kMaxToken || last == std::string_view::npos) return false;
  const std::string_view head = token.substr(0, last), sealed = token.substr(last + 1);
  bool genuine = false;
  for (std::string_view bound : {call, std::string_view()}) {
    const std::string expected = seal(head, bound);
    genuine = genuine || (expected.size() == sealed.size() && CRYPTO_memcmp(expected.data(), sealed.data(), sealed.size()) == 0);
  }
  int64_t until = 0;
  const auto [end, wrong] = std::from_chars(head.data(), head.data() + head.size(), until);
  if (!genuine || wrong != std::errc() || end == head.data() + head.size() || *end != 'x' || until < now_ms) return false;
  const std::lock_guard lock(mutex_);
  std::erase_if(used_, [&](const auto& one) { return one.second < now_ms; });
  if (used_.size() >= kMaxUsed) used_.erase(used_.begin());  // they begin with their expiry
  return used_.emplace(std::string(head), until).second;
}

std::string TokenBook::seal(std::string_view head, std::string_view call) const {
  const std::string text = "postern media stream\n" + std::string(head) + "\n" + std::string(call);
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  HMAC(EVP_sha256(), secret_.data(), static_cast<int>(secret_.size()), reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac, &size);
  return to_hex(mac, kSealBytes);
}

}  // namespace openai_realtime
