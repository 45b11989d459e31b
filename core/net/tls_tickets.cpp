#include "core/net/tls_tickets.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <algorithm>

#include "core/base/clock.h"

namespace postern::net {

TicketKeys::~TicketKeys() {
  MutexLock lock(mutex_);
  OPENSSL_cleanse(keys_.data(), sizeof keys_);
}

bool TicketKeys::renew(int64_t now_ms) {
  if (count_ > 0 && now_ms - made_at_ms_ < kRenewAfterMs) return true;
  Key key;
  if (RAND_bytes(key.name.data(), key.name.size()) != 1 || RAND_priv_bytes(key.cipher.data(), key.cipher.size()) != 1 ||
      RAND_priv_bytes(key.mac.data(), key.mac.size()) != 1) {
    return count_ > 0;
  }
  // The one before is worth nothing any more when nobody has sealed with it for its whole second time.
  bool keep = count_ > 0 && now_ms - made_at_ms_ < 2 * kRenewAfterMs;
  keys_[1] = keys_[0];
  keys_[0] = key;
  OPENSSL_cleanse(&key, sizeof key);
  count_ = keep ? 2 : 1;
  made_at_ms_ = now_ms;
  return true;
}

void TicketKeys::age(int64_t ms) {
  MutexLock lock(mutex_);
  made_at_ms_ -= ms;
}

int TicketKeys::use(unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac, bool sealing) {
  MutexLock lock(mutex_);
  if (!renew(steady_ms())) return sealing ? -1 : 0;
  size_t which = 0;
  if (sealing) {
    std::copy(keys_[0].name.begin(), keys_[0].name.end(), name);
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1) return -1;
  } else {
    while (which < count_ && !std::equal(keys_[which].name.begin(), keys_[which].name.end(), name)) ++which;
    if (which == count_) return 0;
  }
  Key& key = keys_[which];
  std::array<OSSL_PARAM, 3> params{OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.mac.data(), key.mac.size()),
                                   OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, const_cast<char*>("SHA256"), 0),
                                   OSSL_PARAM_construct_end()};
  if (EVP_CipherInit_ex(cipher, EVP_aes_256_cbc(), nullptr, key.cipher.data(), iv, sealing ? 1 : 0) != 1 ||
      EVP_MAC_CTX_set_params(mac, params.data()) != 1) {
    return sealing ? -1 : 0;
  }
  return which == 0 ? 1 : 2;
}

}  // namespace postern::net
