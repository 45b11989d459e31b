#include "core/net/tcp_connect.h"

#include <Poco/Exception.h>
#include <Poco/Net/SocketImpl.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace postern::net {

std::shared_ptr<TcpConnect> TcpConnect::start(EventLoop& loop, Addresses addresses, int64_t each_ms, Done done) {
  std::shared_ptr<TcpConnect> made(new TcpConnect(loop, std::move(addresses), each_ms, std::move(done)));
  made->self_ = made;
  loop.post([made] {
    if (made->done_) made->try_next({Code::kUnavailable, "there is no address"});
  });
  return made;
}

TcpConnect::TcpConnect(EventLoop& loop, Addresses addresses, int64_t each_ms, Done done)
    : loop_(loop), addresses_(std::move(addresses)), each_ms_(each_ms), done_(std::move(done)), deadline_([this] {
        forget_socket();
        try_next({Code::kTimeout, "no connection in time"});
      }) {}

void TcpConnect::cancel() {
  forget_socket();
  done_ = nullptr;
  loop_.bury(std::move(self_));
}

void TcpConnect::try_next(Status why_not) {
  auto self = self_;
  while (next_ < addresses_.size()) {
    try {
      socket_ = Poco::Net::StreamSocket();
      socket_.connectNB(addresses_[next_++]);
      const int fd = socket_.impl()->sockfd();
      ::fcntl(fd, F_SETFD, FD_CLOEXEC);
      if (Status watched = loop_.watch(fd, EPOLLOUT, *this); !watched) return finish(watched);
      watched_ = true;
      return loop_.timers().arm(deadline_, loop_.now_ms() + each_ms_);
    } catch (const Poco::Exception& e) {
      why_not = {Code::kUnavailable, e.displayText()};
    }
  }
  finish(std::move(why_not));
}

void TcpConnect::on_ready(uint32_t) {
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(socket_.impl()->sockfd(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  Poco::Net::StreamSocket connected = socket_;
  forget_socket();
  if (error == 0) return finish(std::move(connected));
  try_next({Code::kUnavailable, std::strerror(error)});
}

void TcpConnect::forget_socket() {
  deadline_.cancel();
  if (std::exchange(watched_, false)) loop_.unwatch(socket_.impl()->sockfd());
  socket_ = Poco::Net::StreamSocket();
}

void TcpConnect::finish(Result<Poco::Net::StreamSocket> outcome) {
  Done done = std::exchange(done_, nullptr);
  loop_.bury(std::move(self_));
  if (done) done(std::move(outcome));
}

}  // namespace postern::net
