#include "core/net/tls_client.h"

#include <Poco/Net/IPAddress.h>
#include <openssl/x509v3.h>

#include <utility>

namespace postern::net {

Result<std::shared_ptr<const TlsClient>> TlsClient::make(const std::string& ca_file) {
  std::shared_ptr<TlsClient> made(new TlsClient);
  made->context_.reset(SSL_CTX_new(TLS_client_method()));
  SSL_CTX* context = made->context_.get();
  if (context == nullptr) return Status(Code::kInternal, "TLS cannot be set up: " + take_tls_error());
  SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  constexpr unsigned char kHttp[] = "\x08http/1.1";
  if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 || SSL_CTX_set_alpn_protos(context, kHttp, sizeof kHttp - 1) != 0) {
    return Status(Code::kInternal, "TLS cannot be set up: " + take_tls_error());
  }
  if (ca_file.empty()) {
    if (SSL_CTX_set_default_verify_paths(context) != 1) return Status(Code::kInternal, "the system's authorities: " + take_tls_error());
    return std::shared_ptr<const TlsClient>(std::move(made));
  }
  auto authorities = load_authorities(ca_file);
  if (!authorities) return authorities.status();
  for (const X509Ptr& authority : authorities->certificates) {
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority.get()) != 1) {
      return Status(Code::kInvalid, "an authority cannot be used: " + take_tls_error());
    }
  }
  return std::shared_ptr<const TlsClient>(std::move(made));
}

TlsContext::SslPtr TlsClient::new_session(const std::string& host) const {
  TlsContext::SslPtr ssl(SSL_new(context_.get()));
  if (!ssl) return nullptr;
  SSL_set_connect_state(ssl.get());
  X509_VERIFY_PARAM* wanted = SSL_get0_param(ssl.get());
  Poco::Net::IPAddress address;
  if (Poco::Net::IPAddress::tryParse(host, address)) {  // an address has no place in SNI (RFC 6066 §3)
    if (X509_VERIFY_PARAM_set1_ip_asc(wanted, host.c_str()) != 1) return nullptr;
    return ssl;
  }
  X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  if (SSL_set1_host(ssl.get(), host.c_str()) != 1 || SSL_set_tlsext_host_name(ssl.get(), host.c_str()) != 1) return nullptr;
  return ssl;
}

}  // namespace postern::net
