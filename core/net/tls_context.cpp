#include "core/net/tls_context.h"

#include <openssl/err.h>
#include <openssl/sha.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>

namespace postern::net {
namespace {

constexpr long kTicketsLastSeconds = 2 * 3600;
constexpr int kMaxClientChain = 5;
// Mozilla's "intermediate" (5.7) without its finite-field DHE, which lets a client make us compute much for little (CVE-2002-20001). The
// names of TLS 1.3 are OpenSSL's default ones.
constexpr const char* kCiphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
constexpr const char* kGroups = "X25519:P-256:P-384";

Status failed(const std::string& what) { return {Code::kInvalid, what + ": " + take_tls_error()}; }

// A client that offers ALPN offers HTTP/1.1, or is refused (RFC 7301 §3.2): what it would speak else could be read in two ways (ALPACA).
int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in, unsigned in_size, void*) {
  static constexpr std::string_view kHttp = "http/1.1";
  for (unsigned at = 0; at < in_size; at += 1u + in[at]) {
    std::string_view offered(reinterpret_cast<const char*>(in) + at + 1, std::min<unsigned>(in[at], in_size - at - 1));
    if (offered != kHttp) continue;
    *out = reinterpret_cast<const unsigned char*>(kHttp.data());
    *out_size = static_cast<unsigned char>(kHttp.size());
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;  // no_application_protocol
}

int use_ticket_key(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac, int sealing) {
  auto* keys = static_cast<TicketKeys*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  return keys == nullptr ? (sealing == 1 ? -1 : 0) : keys->use(name, iv, cipher, mac, sealing == 1);
}

Status set_up(SSL_CTX* context, int min_version) {
  // IGNORE_UNEXPECTED_EOF: an end without close_notify counts as one. A request has its own length, so a part of one never completes; and
  // a client that closes its side and waits for the answer gets it.
  SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  // Thousands of idle connections must not each keep two buffers of 17 KiB.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_read_ahead(context, 1);  // a record with its header in one system call
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);  // tickets alone: nothing is kept for clients that do not come back
  SSL_CTX_set_timeout(context, kTicketsLastSeconds);
  SSL_CTX_set_alpn_select_cb(context, choose_protocol, nullptr);
  if (SSL_CTX_set_min_proto_version(context, min_version) != 1 || SSL_CTX_set_cipher_list(context, kCiphers) != 1 ||
      SSL_CTX_set1_groups_list(context, kGroups) != 1) {
    return failed("TLS cannot be set up");
  }
  return Status::ok();
}

Status use(SSL_CTX* context, const TlsIdentity& identity) {
  const auto& certificates = identity.chain.certificates;
  if (SSL_CTX_use_certificate(context, certificates.front().get()) != 1 || SSL_CTX_use_PrivateKey(context, identity.key.get()) != 1) {
    return failed("the certificate of " + identity.chain.subject + " cannot be used");
  }
  for (size_t i = 1; i < certificates.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context, certificates[i].get()) != 1) return failed("the certificate chain cannot be used");
  }
  return Status::ok();
}

}  // namespace

Result<std::shared_ptr<const TlsContext>> TlsContext::make(const TlsSettings& settings) {
  std::shared_ptr<TlsContext> made(new TlsContext);
  made->tickets_ = settings.tickets;
  for (const TlsIdentity& identity : settings.identities) {
    if (Status s = made->add(settings, identity); !s) return s;
  }
  if (made->served_.empty()) return Status(Code::kInvalid, "TLS needs a certificate");
  return std::shared_ptr<const TlsContext>(std::move(made));
}

Status TlsContext::add(const TlsSettings& settings, const TlsIdentity& identity) {
  const int key_type = EVP_PKEY_get_base_id(identity.key.get());
  Served* served = with_other_key(identity);
  if (served == nullptr) {
    ContextPtr made(SSL_CTX_new(TLS_server_method()));
    if (!made) return failed("TLS cannot be set up");
    if (Status s = prepare(settings, made.get()); !s) return s;
    for (const std::string& name : identity.chain.names) by_name_.try_emplace(name, made.get());
    served = &served_.emplace_back(Served{std::move(made), identity.chain.names, {}});
  }
  served->key_types.push_back(key_type);
  return use(served->context.get(), identity);
}

// Of the same names, and without one of this kind yet.
TlsContext::Served* TlsContext::with_other_key(const TlsIdentity& identity) {
  const int key_type = EVP_PKEY_get_base_id(identity.key.get());
  const auto& names = identity.chain.names;
  for (Served& served : served_) {
    const bool same_names = std::is_permutation(names.begin(), names.end(), served.names.begin(), served.names.end());
    const bool has_type = std::find(served.key_types.begin(), served.key_types.end(), key_type) != served.key_types.end();
    if (same_names && !names.empty() && !has_type) return &served;
  }
  return nullptr;
}

Status TlsContext::prepare(const TlsSettings& settings, SSL_CTX* context) {
  if (Status s = set_up(context, settings.min_version); !s) return s;
  if (Status s = ask_for_client_certificates(settings, context); !s) return s;
  SSL_CTX_set_tlsext_servername_callback(context, choose);
  SSL_CTX_set_tlsext_servername_arg(context, this);
  if (tickets_) {
    SSL_CTX_set_app_data(context, tickets_.get());
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, use_ticket_key);
  }
  return Status::ok();
}

// A session is resumed only where it began: one that was opened without a client's certificate, or with one of another authority, must
// not pass where one is asked for. The ticket keys are the same on all listeners; this id, which a ticket carries, is not.
Status TlsContext::ask_for_client_certificates(const TlsSettings& settings, SSL_CTX* context) const {
  std::string began = "no client certificates";
  if (!settings.client_ca.certificates.empty()) {
    began = (settings.client_certificate_required ? "required " : "optional ") + settings.client_ca.digest;
    for (const X509Ptr& authority : settings.client_ca.certificates) {
      if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), authority.get()) != 1 ||
          SSL_CTX_add_client_CA(context, authority.get()) != 1) {
        return failed("the clients' authorities cannot be used");
      }
    }
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (settings.client_certificate_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);
    SSL_CTX_set_verify_depth(context, kMaxClientChain);
  }
  std::array<unsigned char, SHA256_DIGEST_LENGTH> id{};
  SHA256(reinterpret_cast<const unsigned char*>(began.data()), began.size(), id.data());
  if (SSL_CTX_set_session_id_context(context, id.data(), id.size()) != 1) return failed("TLS cannot be set up");
  return Status::ok();
}

// A name itself goes before a wildcard, which stands for one label (RFC 6125 §6.4.3).
SSL_CTX* TlsContext::find(std::string_view host) const {
  if (auto found = by_name_.find(host); found != by_name_.end()) return found->second;
  size_t dot = host.find('.');
  if (dot == std::string_view::npos || dot == 0) return nullptr;
  auto found = by_name_.find("*" + std::string(host.substr(dot)));
  return found == by_name_.end() ? nullptr : found->second;
}

int TlsContext::choose(SSL* ssl, int*, void* self) {
  const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (name == nullptr) return SSL_TLSEXT_ERR_NOACK;
  std::string host(name);
  for (char& c : host) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  SSL_CTX* context = static_cast<const TlsContext*>(self)->find(host);
  if (context == nullptr) return SSL_TLSEXT_ERR_NOACK;
  if (context != SSL_get_SSL_CTX(ssl)) SSL_set_SSL_CTX(ssl, context);
  return SSL_TLSEXT_ERR_OK;
}

TlsContext::SslPtr TlsContext::new_session() const {
  SslPtr ssl(SSL_new(served_.front().context.get()));
  if (ssl) SSL_set_accept_state(ssl.get());
  return ssl;
}

}  // namespace postern::net
