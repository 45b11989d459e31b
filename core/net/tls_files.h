// Certificates, keys and authorities from their PEM files, checked so that a handshake cannot fail later by what could be told now.
// A fault's text completes a sentence that begins with the file's name; it never contains what is in the file.
// Thread-safety: any thread.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/base/status.h"

namespace postern::net {

template <auto free_it>
struct Freed {
  template <typename T>
  void operator()(T* it) const {
    free_it(it);
  }
};
using X509Ptr = std::unique_ptr<X509, Freed<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;

// A server's certificate and those between it and a root.
struct CertificateChain {
  std::vector<X509Ptr> certificates;  // the server's own first
  std::vector<std::string> names;     // of its subjectAltName, DNS alone, in lower case; "*.example.com" among them
  std::string subject;                // for people
  int64_t not_before = 0, not_after = 0;  // Unix seconds
};

Result<CertificateChain> load_chain(const std::string& file);

// Not encrypted: nobody is there to be asked for a password. Refused where others than its owner and group can read it.
Result<KeyPtr> load_key(const std::string& file);

bool belong_together(const CertificateChain& chain, EVP_PKEY* key);

// One or more certificates of authorities.
struct Authorities {
  std::vector<X509Ptr> certificates;
  std::string digest;  // of the whole file, 32 bytes
};
Result<Authorities> load_authorities(const std::string& file);

// The topmost of OpenSSL's errors of this thread, as a text; clears them all.
std::string take_tls_error();

}  // namespace postern::net
