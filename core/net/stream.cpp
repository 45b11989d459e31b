#include "core/net/stream.h"

#include <Poco/Exception.h>
#include <Poco/Net/SocketImpl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>

namespace postern::net {

std::string peer_of(const Poco::Net::StreamSocket& socket) {
  using Poco::Net::SocketAddress;
  try {
    const SocketAddress peer = socket.peerAddress();
    return peer.family() == SocketAddress::UNIX_LOCAL ? "unix" : peer.host().toString();
  } catch (const Poco::Exception&) {
    return socket.address().family() == SocketAddress::UNIX_LOCAL ? "unix" : kGone;
  }
}

SocketStream::SocketStream(Poco::Net::StreamSocket socket, std::string peer)
    : socket_(std::move(socket)), fd_(socket_.impl()->sockfd()), peer_(peer.empty() ? peer_of(socket_) : std::move(peer)) {
  const int on = 1;
  if (peer_ != "unix") ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // a unix socket with a PROXY header merely says no
}

// The system calls themselves: Poco's receiveBytes and sendBytes answer a reset with an exception, and resets are daily bread.
Stream::Transfer PlainStream::read(char* data, size_t size) {
  ssize_t n;
  do {
    n = ::recv(fd(), data, size, MSG_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  if (n > 0) return {Outcome::kDone, static_cast<size_t>(n)};
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return {Outcome::kWouldBlock, 0};
  return {Outcome::kClosed, 0};
}

Stream::Transfer PlainStream::write(const char* data, size_t size) {
  ssize_t n;
  do {
    n = ::send(fd(), data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  if (n >= 0) return {Outcome::kDone, static_cast<size_t>(n)};
  if (errno == EAGAIN || errno == EWOULDBLOCK) return {Outcome::kWouldBlock, 0};
  return {Outcome::kClosed, 0};
}

void PlainStream::shutdown_write() { ::shutdown(fd(), SHUT_WR); }

}  // namespace postern::net
