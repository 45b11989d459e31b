// Both sides of TLS on one thread: our TlsStream at one end of a socket pair, OpenSSL's client at the other. Thread-safety: one thread.
#pragma once

#include <Poco/Net/StreamSocketImpl.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/net/tls_stream.h"
#include "tests/support/tls_material.h"

namespace postern::net::testing {

using postern::testing::TlsMaterial;

template <typename T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.status().message());
  return std::move(*result);
}

inline TlsIdentity identity(const TlsMaterial::Pair& pair) { return {must(load_chain(pair.certificate)), must(load_key(pair.key))}; }

// What a test changes of a listener's settings.
using Change = std::function<void(TlsSettings&)>;

inline std::shared_ptr<const TlsContext> context(const std::vector<TlsMaterial::Pair>& pairs, const Change& change = {}) {
  TlsSettings settings;
  for (const auto& pair : pairs) settings.identities.push_back(identity(pair));
  settings.tickets = std::make_shared<TicketKeys>();
  if (change) change(settings);
  return must(TlsContext::make(settings));
}

using ClientContext = std::shared_ptr<SSL_CTX>;
inline ClientContext client_context() {
  ClientContext made(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free);
  SSL_CTX_set_session_cache_mode(made.get(), SSL_SESS_CACHE_OFF);  // its end would spoil what a test has taken from it
  return made;
}

struct Ends {
  int server = -1, client = -1;
  Ends() {
    int fds[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0) throw std::runtime_error("socketpair");
    server = fds[0];
    client = fds[1];
  }
};

class Session {
 public:
  using Prepare = std::function<void(SSL*)>;

  Session(const std::shared_ptr<const TlsContext>& server, const ClientContext& client, const Prepare& prepare = {}) {
    Ends ends;
    stream_ = std::make_unique<TlsStream>(Poco::Net::StreamSocket(new Poco::Net::StreamSocketImpl(ends.server)), server);
    client_ = {SSL_new(client.get()), &SSL_free};
    fd_ = ends.client;
    SSL_set_fd(client_.get(), fd_);
    SSL_set_connect_state(client_.get());
    if (prepare) prepare(client_.get());
  }
  ~Session() {
    SSL_set_shutdown(client_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);  // else OpenSSL takes its session for a bad one
    client_.reset();
    ::close(fd_);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Until both sides have gone through the handshake, or one has failed. Takes in what came for either, tickets among it.
  bool shake_hands() {
    for (int i = 0; i < 100 && alive_; ++i) {
      ERR_clear_error();
      int done = SSL_do_handshake(client_.get());
      if (done != 1 && SSL_get_error(client_.get(), done) != SSL_ERROR_WANT_READ) {
        failure_ = take_tls_error();
        alive_ = false;
      }
      serve();
      if (done == 1 && SSL_is_init_finished(stream_->ssl()) != 0) break;
    }
    client_read();  // tickets, or an alert behind the client's end of a TLS 1.3 handshake
    return alive_ && SSL_is_init_finished(stream_->ssl()) != 0;
  }
  // The server reads what there is.
  void serve() {
    char bytes[64 * 1024];
    while (true) {
      auto [outcome, size] = stream_->read(bytes, sizeof bytes);
      if (outcome == Stream::Outcome::kClosed) alive_ = false;
      if (outcome != Stream::Outcome::kDone) return;
      received_.append(bytes, size);
    }
  }
  bool client_write(std::string_view text) { return SSL_write(client_.get(), text.data(), static_cast<int>(text.size())) > 0; }
  std::string client_read() {
    std::string text;
    char bytes[16 * 1024];
    ERR_clear_error();
    int n;
    while ((n = SSL_read(client_.get(), bytes, sizeof bytes)) > 0) text.append(bytes, static_cast<size_t>(n));
    last_error_ = SSL_get_error(client_.get(), n);
    if (last_error_ == SSL_ERROR_SSL) {
      failure_ = take_tls_error();
      alive_ = false;
    }
    return text;
  }

  SSL* client() { return client_.get(); }
  TlsStream& server() { return *stream_; }
  std::unique_ptr<TlsStream>& server_owner() { return stream_; }
  const std::string& received() const { return received_; }
  const std::string& failure() const { return failure_; }  // the client's
  bool alive() const { return alive_; }
  int last_error() const { return last_error_; }
  int fd() const { return fd_; }
  std::string server_subject() {
    X509* certificate = SSL_get0_peer_certificate(client_.get());
    if (certificate == nullptr) return "";
    char text[256];
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, text, sizeof text);
    return text;
  }

 private:
  std::unique_ptr<TlsStream> stream_;
  std::shared_ptr<SSL> client_;
  int fd_ = -1;
  bool alive_ = true;
  int last_error_ = 0;
  std::string received_, failure_;
};

}  // namespace postern::net::testing
