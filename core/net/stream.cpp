#include "core/net/stream.h"

#include <Poco/Exception.h>
#include <Poco/Net/SocketImpl.h>
#include <sys/socket.h>

#include <cerrno>

namespace postern::net {

PlainStream::PlainStream(Poco::Net::StreamSocket socket) : socket_(std::move(socket)), fd_(socket_.impl()->sockfd()) {
  peer_ = "unknown";  // a peer that has reset already has no address any more
  try {
    Poco::Net::SocketAddress peer = socket_.peerAddress();
    if (peer.family() == Poco::Net::SocketAddress::UNIX_LOCAL) {
      peer_ = "unix";
    } else {
      peer_ = peer.host().toString();
      socket_.setNoDelay(true);
    }
  } catch (const Poco::Exception&) {
    if (socket_.address().family() == Poco::Net::SocketAddress::UNIX_LOCAL) peer_ = "unix";
  }
}

// The system calls themselves: Poco's receiveBytes and sendBytes answer a reset with an exception, and resets are daily bread.
Stream::Transfer PlainStream::read(char* data, size_t size) {
  ssize_t n;
  do {
    n = ::recv(fd_, data, size, MSG_DONTWAIT);
  } while (n < 0 && errno == EINTR);
  if (n > 0) return {Outcome::kDone, static_cast<size_t>(n)};
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return {Outcome::kWouldBlock, 0};
  return {Outcome::kClosed, 0};
}

Stream::Transfer PlainStream::write(const char* data, size_t size) {
  ssize_t n;
  do {
    n = ::send(fd_, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
  } while (n < 0 && errno == EINTR);
  if (n >= 0) return {Outcome::kDone, static_cast<size_t>(n)};
  if (errno == EAGAIN || errno == EWOULDBLOCK) return {Outcome::kWouldBlock, 0};
  return {Outcome::kClosed, 0};
}

void PlainStream::shutdown_write() { ::shutdown(fd_, SHUT_WR); }

}  // namespace postern::net
