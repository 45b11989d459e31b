#include "tests/bench/load/tls_client.h"

#include <openssl/err.h>

#include <cerrno>
#include <csignal>
#include <stdexcept>

namespace postern::load {
namespace {

// Only of a call that failed.
ssize_t as_system_call(SSL* ssl, int result) {
  const int error = SSL_get_error(ssl, result);
  if (error == SSL_ERROR_ZERO_RETURN) return 0;
  errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : EIO;
  return -1;
}

}  // namespace

TlsClient::TlsClient() : context_(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free) {
  if (!context_) throw std::runtime_error("OpenSSL has no context for TLS");
  SSL_CTX_set_mode(context_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(context_.get(), 1);
  std::signal(SIGPIPE, SIG_IGN);  // OpenSSL's writes have no MSG_NOSIGNAL
}

TlsClient::Connection TlsClient::connect(int fd) const {
  Connection ssl(SSL_new(context_.get()));
  if (!ssl || SSL_set_fd(ssl.get(), fd) != 1) throw std::runtime_error("OpenSSL has no memory for a connection");
  SSL_set_connect_state(ssl.get());
  return ssl;
}

TlsClient::Handshake TlsClient::shake_hands(SSL* ssl) {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl);
  if (result == 1) return Handshake::kDone;
  const int error = SSL_get_error(ssl, result);
  if (error == SSL_ERROR_WANT_READ) return Handshake::kWantsRead;
  return error == SSL_ERROR_WANT_WRITE ? Handshake::kWantsWrite : Handshake::kFailed;
}

ssize_t TlsClient::send(SSL* ssl, const char* data, size_t size) {
  size_t n = 0;
  ERR_clear_error();
  const int result = SSL_write_ex(ssl, data, size, &n);
  return result == 1 ? static_cast<ssize_t>(n) : as_system_call(ssl, result);
}

ssize_t TlsClient::receive(SSL* ssl, char* data, size_t size) {
  size_t n = 0;
  ERR_clear_error();
  const int result = SSL_read_ex(ssl, data, size, &n);
  return result == 1 ? static_cast<ssize_t>(n) : as_system_call(ssl, result);
}

}  // namespace postern::load
