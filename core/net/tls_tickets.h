// TicketKeys: what session tickets (RFC 5077, RFC 8446 §4.6.1) are sealed with. They outlive a reload of certificates, so that clients
// resume across it, but not long: who stole a key could read what TLS 1.2 sessions of its time sent. So a new one is made every twelve
// hours, and the one before opens tickets for as long again.
// Thread-safety: any thread.
#pragma once

#include <openssl/evp.h>
#include <openssl/ssl.h>

#include <array>
#include <cstdint>
#include <memory>

#include "core/base/mutex.h"

namespace postern::net {

class TicketKeys {
 public:
  TicketKeys() = default;
  ~TicketKeys();
  TicketKeys(const TicketKeys&) = delete;
  TicketKeys& operator=(const TicketKeys&) = delete;

  // As OpenSSL's callback wants it (SSL_CTX_set_tlsext_ticket_key_evp_cb). Sealing: 1, or -1 where no key can be made. Opening: 0 for a key
  // that is not known, 1, or 2 where the ticket should be replaced.
  int use(unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac, bool sealing) EXCLUDES(mutex_);

  static constexpr int64_t kRenewAfterMs = 12 * 3600 * 1000;
  // For tests: as if that much time had passed.
  void age(int64_t ms) EXCLUDES(mutex_);

 private:
  struct Key {
    std::array<unsigned char, 16> name;
    std::array<unsigned char, 32> cipher, mac;
  };
  bool renew(int64_t now_ms) REQUIRES(mutex_);

  Mutex mutex_;
  std::array<Key, 2> keys_ GUARDED_BY(mutex_){};  // the newer first
  size_t count_ GUARDED_BY(mutex_) = 0;
  int64_t made_at_ms_ GUARDED_BY(mutex_) = 0;
};

}  // namespace postern::net
