// TlsStream: one side of TLS on a socket that never waits. Reading drives the handshake, a client's first write too; until it is over nothing
// comes out, and whoever holds the stream bounds the time for it as for the first bytes of a request.
// Thread-safety: one thread (the loop's).
#pragma once

#include <openssl/bio.h>

#include <memory>
#include <string>

#include "core/net/stream.h"
#include "core/net/tls_client.h"
#include "core/net/tls_context.h"

namespace postern::net {

class TlsStream final : public SocketStream {
 public:
  // A server's side.
  TlsStream(Poco::Net::StreamSocket socket, std::shared_ptr<const TlsContext> context, std::string peer = {},
            OnBadStart on_bad_start = nullptr);
  // A client's, which lets nobody pass but who has a certificate for `host`.
  TlsStream(Poco::Net::StreamSocket socket, std::shared_ptr<const TlsClient> client, const std::string& host);
  ~TlsStream() override;

  Transfer read(char* data, size_t size) override;
  Transfer write(const char* data, size_t size) override;
  // close_notify, then the socket's end. Where the socket takes no more, reading goes on to try.
  void shutdown_write() override;
  uint32_t read_events() const override;
  uint32_t write_events() const override { return write_wants_read_ ? EPOLLIN : EPOLLOUT; }
  bool has_buffered() const override;

  // Why the handshake failed; empty: it did not.
  const std::string& failure() const { return failure_; }
  SSL* ssl() const { return ssl_.get(); }  // for tests

 private:
  enum class Closing { kNot, kUnderWay, kDone };

  void begin();
  Outcome why_not(int result, bool reading);
  void fail();
  void go_on_closing();
  bool wastes_time() const;
  static void note_message(int write, int version, int type, const void* message, size_t size, SSL* ssl, void* self);
  static const BIO_METHOD* socket_method();
  static int receive(BIO* bio, char* data, int size);
  static int send(BIO* bio, const char* data, int size);
  static long control(BIO* bio, int command, long number, void* pointer);

  const bool is_client_;
  std::shared_ptr<const void> context_;  // whose the session is
  OnBadStart on_bad_start_;
  TlsContext::SslPtr ssl_;
  Closing closing_ = Closing::kNot;
  std::string failure_;
  bool failed_ = false;            // OpenSSL must not be asked any more
  bool ended_ = false;             // nothing more can be read
  bool read_wants_write_ = false;
  bool write_wants_read_ = false;
  bool starved_ = false;           // what OpenSSL holds is a part of a record
  bool drained_ = false;           // the socket had less than was asked for
  bool paused_ = false;            // there may be more, but others have to have their turn
  int calls_ = 0;                  // of receive(), by one read()
  int records_without_data_ = 0;   // in a row, after the handshake
  size_t handshake_bytes_ = 0;     // received before it was over
  bool socket_ended_ = false;
};

}  // namespace postern::net
