#include "core/net/tls_stream.h"

#include <openssl/err.h>
#include <sys/socket.h>

#include <cerrno>

#include "core/base/log.h"

namespace postern::net {
namespace {

// A record may hold a byte, or nothing for us at all (a new key, an alert), and each costs microseconds. OpenSSL reads on until there is
// data, and so did we until there is no more. So one read takes so much at most, ...
constexpr int kRecordsAtOnce = 64;
constexpr int kCallsAtOnce = 16;  // of up to 16 KiB each
// ... and a peer that sends so many records with no data in them wants nothing but our time. (Keys are renewed after gigabytes.)
constexpr int kRecordsWithoutData = 32;
// A ClientHello may announce 128 KiB, and client certificates 100 KiB; honest ones are a tenth of that.
constexpr size_t kHandshakeBytes = 64 * 1024;

// Whoever scans ports must not fill the log. One for each loop, which is a thread.
void tell_failed_handshake(const std::string& peer, const std::string& why) {
  thread_local log::Throttle throttle(5);
  uint64_t suppressed = 0;
  if (throttle.pass(suppressed)) log::info("TLS handshake failed", {{"why", why}, {"remote", peer}, {"suppressed", suppressed}});
}

}  // namespace

TlsStream::TlsStream(Poco::Net::StreamSocket socket, std::shared_ptr<const TlsContext> context, std::string peer,
                     OnBadStart on_bad_start)
    : SocketStream(std::move(socket), std::move(peer)),
      is_client_(false),
      context_(context),
      on_bad_start_(std::move(on_bad_start)),
      ssl_(context->new_session()) {
  begin();
}

TlsStream::TlsStream(Poco::Net::StreamSocket socket, std::shared_ptr<const TlsClient> client, const std::string& host)
    : SocketStream(std::move(socket)), is_client_(true), context_(client), ssl_(client->new_session(host)) {
  begin();
}

void TlsStream::begin() {
  BIO* bio = ssl_ ? BIO_new(socket_method()) : nullptr;
  failed_ = bio == nullptr;
  if (failed_) return;
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_msg_callback(ssl_.get(), note_message);
  SSL_set_msg_callback_arg(ssl_.get(), this);
}

// An end without close_notify looks to a strict client like one that somebody else made.
TlsStream::~TlsStream() {
  if (failed_ || closing_ != Closing::kNot || SSL_is_init_finished(ssl_.get()) == 0) return;
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

// As much as there is, not a record alone: then a short read means that the socket has no more, as Stream promises.
Stream::Transfer TlsStream::read(char* data, size_t size) {
  if (closing_ == Closing::kUnderWay) go_on_closing();
  if (failed_ || ended_) return {Outcome::kClosed, 0};
  calls_ = 0;
  paused_ = false;
  size_t filled = 0;
  for (int records = 0; filled < size; ++records) {
    if (records == kRecordsAtOnce) {
      paused_ = true;
      break;
    }
    size_t bytes = 0;
    ERR_clear_error();
    int result = SSL_read_ex(ssl_.get(), data + filled, size - filled, &bytes);
    if (result != 1) {
      Outcome outcome = why_not(result, true);
      if (filled == 0) return {outcome, 0};
      ended_ = outcome == Outcome::kClosed;
      break;
    }
    filled += bytes;
    records_without_data_ = 0;
    starved_ = read_wants_write_ = false;
    if (drained_ && SSL_has_pending(ssl_.get()) == 0) break;  // saves the system call that would only say so
  }
  return {Outcome::kDone, filled};
}

Stream::Transfer TlsStream::write(const char* data, size_t size) {
  if (failed_) return {Outcome::kClosed, 0};
  size_t bytes = 0;
  ERR_clear_error();
  write_wants_read_ = false;
  int result = SSL_write_ex(ssl_.get(), data, size, &bytes);
  if (result == 1) return {Outcome::kDone, bytes};
  return {why_not(result, false), 0};
}

Stream::Outcome TlsStream::why_not(int result, bool reading) {
  if (wastes_time()) {
    fail();
    return Outcome::kClosed;
  }
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      (reading ? starved_ : write_wants_read_) = true;
      if (reading) read_wants_write_ = false;
      return Outcome::kWouldBlock;
    case SSL_ERROR_WANT_WRITE:
      if (reading) read_wants_write_ = true;
      return Outcome::kWouldBlock;
    case SSL_ERROR_ZERO_RETURN:
      return Outcome::kClosed;
    default:
      fail();
      return Outcome::kClosed;
  }
}

void TlsStream::fail() {
  // What fails later is a reset, or a client that breaks the protocol: daily bread. An end in the middle of a handshake has no error.
  const bool in_handshake = SSL_is_init_finished(ssl_.get()) == 0;
  const bool has_error = ERR_peek_last_error() != 0;
  const long verdict = SSL_get_verify_result(ssl_.get());
  std::string why = take_tls_error();
  failed_ = true;
  if (!in_handshake) return;
  failure_ = !has_error ? "the connection ended" : verdict == X509_V_OK ? why : X509_verify_cert_error_string(verdict);
  if (is_client_ || !has_error) return;
  tell_failed_handshake(peer(), why);
  if (on_bad_start_) on_bad_start_(BadStart::kHandshake);
}

void TlsStream::shutdown_write() {
  if (closing_ != Closing::kNot) return;
  closing_ = Closing::kUnderWay;
  go_on_closing();
}

void TlsStream::go_on_closing() {
  if (!failed_ && SSL_is_init_finished(ssl_.get()) != 0) {
    ERR_clear_error();
    int result = SSL_shutdown(ssl_.get());
    if (result < 0 && SSL_get_error(ssl_.get(), result) == SSL_ERROR_WANT_WRITE) return;
    ERR_clear_error();
  }
  closing_ = Closing::kDone;
  ::shutdown(fd(), SHUT_WR);
}

uint32_t TlsStream::read_events() const {
  uint32_t events = read_wants_write_ ? EPOLLOUT : EPOLLIN;
  return closing_ == Closing::kUnderWay ? events | EPOLLOUT : events;
}

bool TlsStream::has_buffered() const {
  if (failed_) return false;
  return ended_ || paused_ || (!starved_ && !read_wants_write_ && SSL_has_pending(ssl_.get()) == 1);
}

// A BIO of our own: OpenSSL's writes to a socket whose peer has reset raise SIGPIPE, and it does not tell when a socket is drained.
const BIO_METHOD* TlsStream::socket_method() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "postern socket");
    BIO_meth_set_read(made, receive);
    BIO_meth_set_write(made, send);
    BIO_meth_set_ctrl(made, control);
    return made;
  }();
  return method;
}

bool TlsStream::wastes_time() const { return records_without_data_ > kRecordsWithoutData || handshake_bytes_ > kHandshakeBytes; }

void TlsStream::note_message(int write, int, int type, const void*, size_t, SSL* ssl, void* self) {
  if (write == 0 && type == SSL3_RT_HEADER && SSL_is_init_finished(ssl) != 0) ++static_cast<TlsStream*>(self)->records_without_data_;
}

int TlsStream::receive(BIO* bio, char* data, int size) {
  auto* self = static_cast<TlsStream*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  if (self->wastes_time()) return -1;
  if (self->calls_++ == kCallsAtOnce) {
    self->paused_ = true;
    BIO_set_retry_read(bio);
    return -1;
  }
  ssize_t n;
  do {
    n = ::recv(self->fd(), data, static_cast<size_t>(size), MSG_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  self->drained_ = n < size;
  self->socket_ended_ = n == 0;
  if (n > 0 && SSL_is_init_finished(self->ssl_.get()) == 0) self->handshake_bytes_ += static_cast<size_t>(n);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) BIO_set_retry_read(bio);
  return static_cast<int>(n);
}

int TlsStream::send(BIO* bio, const char* data, int size) {
  auto* self = static_cast<TlsStream*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  ssize_t n;
  do {
    n = ::send(self->fd(), data, static_cast<size_t>(size), MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) BIO_set_retry_write(bio);
  return static_cast<int>(n);
}

long TlsStream::control(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_FLUSH) return 1;
  if (command == BIO_CTRL_EOF) return static_cast<TlsStream*>(BIO_get_data(bio))->socket_ended_ ? 1 : 0;
  return 0;
}

}  // namespace postern::net
