// TlsClient: whom a client believes, and how it speaks TLS: 1.2 and 1.3, the certificate and the host's name checked, ALPN http/1.1.
// Thread-safety: make() on any thread; a made one is const, for any thread.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "core/base/status.h"
#include "core/net/tls_context.h"

namespace postern::net {

class TlsClient {
 public:
  // `ca_file`: PEM with the authorities to believe; empty: those that the system believes.
  static Result<std::shared_ptr<const TlsClient>> make(const std::string& ca_file);

  // A client's side, which asks for `host` and takes no certificate but one for it; a name or a numeric address. Null when there is no memory.
  TlsContext::SslPtr new_session(const std::string& host) const;

 private:
  TlsClient() = default;
  std::unique_ptr<SSL_CTX, Freed<SSL_CTX_free>> context_;
};

}  // namespace postern::net
