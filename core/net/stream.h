// Stream: a connected, non-blocking byte stream with a peer: a plain socket (here), TLS (tls_stream.h), or one that a PROXY header
// precedes (proxy_stream.h). What reads and writes through it does not know which.
// Thread-safety: one thread (the loop's).
#pragma once

#include <Poco/Net/StreamSocket.h>
#include <sys/epoll.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

namespace postern::net {

class Stream {
 public:
  enum class Outcome { kDone, kWouldBlock, kClosed };
  struct Transfer {
    Outcome outcome;
    size_t bytes;
  };

  virtual ~Stream() = default;
  // Fewer bytes than asked for: all that the socket had, so whoever wants more waits for read_events().
  virtual Transfer read(char* data, size_t size) = 0;
  virtual Transfer write(const char* data, size_t size) = 0;
  // Says that nothing more will be written; reading goes on.
  virtual void shutdown_write() = 0;
  virtual int fd() const = 0;
  // Numeric address of the peer without the port; "unix" for unix sockets. Behind a PROXY header it is known once that was read.
  virtual const std::string& peer() const = 0;

  // What to wait for when a read or a write would block: TLS may have to write before it can read, and the other way round.
  virtual uint32_t read_events() const { return EPOLLIN; }
  virtual uint32_t write_events() const { return EPOLLOUT; }
  // There is something to read of which no event will tell: it has been taken from the socket already.
  virtual bool has_buffered() const { return false; }
};

// How a connection can fail before its first byte of HTTP, where nobody could read an answer.
enum class BadStart { kHandshake, kProxyHeader, kUntrustedProxy };
using OnBadStart = std::function<void(BadStart)>;  // null: nobody wants to know

// What streams on a socket of their own share.
class SocketStream : public Stream {
 public:
  int fd() const final { return fd_; }
  const std::string& peer() const final { return peer_; }

 protected:
  // Takes an accepted socket that does not block; for TCP, small answers are sent at once. `peer`: where another address is known to be
  // the client's than the socket's.
  explicit SocketStream(Poco::Net::StreamSocket socket, std::string peer = {});

 private:
  Poco::Net::StreamSocket socket_;
  int fd_;
  std::string peer_;
};

class PlainStream final : public SocketStream {
 public:
  explicit PlainStream(Poco::Net::StreamSocket socket, std::string peer = {}) : SocketStream(std::move(socket), std::move(peer)) {}

  Transfer read(char* data, size_t size) override;
  Transfer write(const char* data, size_t size) override;
  void shutdown_write() override;
};

// The numeric address of whoever is connected; "unix"; kGone when it has reset already and has no address any more.
inline constexpr const char* kGone = "unknown";
std::string peer_of(const Poco::Net::StreamSocket& socket);

}  // namespace postern::net
