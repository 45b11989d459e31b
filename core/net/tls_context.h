// TlsContext: how a listener speaks TLS: its certificates, which of them a client gets, which clients it believes. A reload makes a new
// one; connections go on with the one that they began with.
//
// A certificate with an RSA key beside one for the same names with an ECDSA key: the client's algorithms choose. Else the first that is
// for a name serves it.
// TLS 1.2 and 1.3 with Mozilla's intermediate ciphers; ALPN http/1.1 alone; tickets for resumption; no renegotiation, no compression, no
// early data (which could be replayed). OpenSSL's own API: Poco::Net::Context knows neither SNI and ALPN of a server nor ticket keys.
// Thread-safety: make() on any thread; a made one is const, for any thread.
#pragma once

#include <openssl/ssl.h>

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/status.h"
#include "core/net/tls_files.h"
#include "core/net/tls_tickets.h"

namespace postern::net {

struct TlsIdentity {
  CertificateChain chain;
  KeyPtr key;
};

struct TlsSettings {
  std::vector<TlsIdentity> identities;  // at least one: the first is for clients that name no host, or one that none of them is for
  Authorities client_ca;                // none: clients are not asked for a certificate
  bool client_certificate_required = true;
  int min_version = TLS1_2_VERSION;
  std::shared_ptr<TicketKeys> tickets;
};

class TlsContext {
 public:
  static Result<std::shared_ptr<const TlsContext>> make(const TlsSettings& settings);
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  using SslPtr = std::unique_ptr<SSL, Freed<SSL_free>>;
  // A server's side; null when there is no memory. This must outlive its handshake.
  SslPtr new_session() const;

 private:
  using ContextPtr = std::unique_ptr<SSL_CTX, Freed<SSL_CTX_free>>;

  struct Served {
    ContextPtr context;
    std::vector<std::string> names;
    std::vector<int> key_types;  // one certificate of each
  };

  TlsContext() = default;
  Status add(const TlsSettings& settings, const TlsIdentity& identity);
  Status prepare(const TlsSettings& settings, SSL_CTX* context);
  Served* with_other_key(const TlsIdentity& identity);
  Status ask_for_client_certificates(const TlsSettings& settings, SSL_CTX* context) const;
  SSL_CTX* find(std::string_view host) const;
  static int choose(SSL* ssl, int* alert, void* self);

  std::vector<Served> served_;  // one for each identity, or two of them
  std::map<std::string, SSL_CTX*, std::less<>> by_name_;
  std::shared_ptr<TicketKeys> tickets_;
};

}  // namespace postern::net
