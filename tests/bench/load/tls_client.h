// TlsClient: the client's side of TLS on a socket that does not wait, with the errors of system calls. The server's certificate is not
// checked: this measures. Thread-safety: one thread for each connection; the context is for all.
#pragma once

#include <openssl/ssl.h>
#include <sys/types.h>

#include <cstddef>
#include <memory>

namespace postern::load {

class TlsClient {
 public:
  TlsClient();

  struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  using Connection = std::unique_ptr<SSL, Free>;
  Connection connect(int fd) const;

  enum class Handshake { kDone, kWantsRead, kWantsWrite, kFailed };
  static Handshake shake_hands(SSL* ssl);
  // As send(2) and recv(2): -1 with EAGAIN where it would block, 0 at the end.
  static ssize_t send(SSL* ssl, const char* data, size_t size);
  static ssize_t receive(SSL* ssl, char* data, size_t size);

 private:
  std::shared_ptr<SSL_CTX> context_;
};

}  // namespace postern::load
