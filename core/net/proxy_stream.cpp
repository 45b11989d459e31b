#include "core/net/proxy_stream.h"

#include <Poco/Net/SocketImpl.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <utility>

#include "core/base/log.h"

namespace postern::net {
namespace {

// Where the header names no client (UNKNOWN, LOCAL) the proxy's own address would do harm: it is trusted, and what such a connection says of
// its client in HTTP headers was not written by a proxy that passes bytes on.
const std::string kNobody = "unknown";

void tell_malformed(const std::string& proxy, const char* why) {
  thread_local log::Throttle throttle(5);
  uint64_t suppressed = 0;
  if (throttle.pass(suppressed)) log::warn("a connection is closed", {{"why", why}, {"proxy", proxy}, {"suppressed", suppressed}});
}

}  // namespace

ProxyStream::ProxyStream(Poco::Net::StreamSocket socket, Next next, Count count, OnBadStart on_bad_start)
    : socket_(std::move(socket)),
      fd_(socket_.impl()->sockfd()),
      proxy_(peer_of(socket_)),
      next_(std::move(next)),
      count_(std::move(count)),
      on_bad_start_(std::move(on_bad_start)) {}

// What is behind the header belongs to the next stream: bytes are looked at first, and only those of the header are taken.
Stream::Outcome ProxyStream::read_header() {
  std::array<char, 512> bytes;
  while (header_.state() == ProxyHeader::State::kIncomplete) {
    ssize_t n;
    do {
      n = ::recv(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_PEEK);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Outcome::kWouldBlock;
    if (n <= 0) return Outcome::kClosed;
    size_t used = header_.feed({bytes.data(), static_cast<size_t>(n)});
    if (::recv(fd_, bytes.data(), used, MSG_DONTWAIT) != static_cast<ssize_t>(used)) return Outcome::kClosed;
  }
  if (header_.state() == ProxyHeader::State::kComplete) return Outcome::kDone;
  tell_malformed(proxy_, header_.why());
  if (on_bad_start_) on_bad_start_(BadStart::kProxyHeader);
  return Outcome::kClosed;
}

// A proxy that speaks for itself (a health check, mostly) is nobody's client.
bool ProxyStream::is_counted() {
  if (!count_ || header_.source().empty()) return true;
  counted_ = count_(header_.source());
  return counted_ != nullptr;
}

Stream::Transfer ProxyStream::read(char* data, size_t size) {
  if (!stream_) {
    if (Outcome outcome = read_header(); outcome != Outcome::kDone) return {outcome, 0};
    if (!is_counted()) return {Outcome::kClosed, 0};
    stream_ = next_(socket_, header_.source().empty() ? kNobody : header_.source());
    if (!stream_) return {Outcome::kClosed, 0};
    header_ = {};
  }
  return stream_->read(data, size);
}

// Before the header came there is nobody to answer.
Stream::Transfer ProxyStream::write(const char* data, size_t size) {
  if (!stream_) return {Outcome::kClosed, 0};
  return stream_->write(data, size);
}

void ProxyStream::shutdown_write() {
  if (stream_) return stream_->shutdown_write();
  ::shutdown(fd_, SHUT_WR);
}

}  // namespace postern::net
