#include "core/net/listener.h"

#include <Poco/Exception.h>
#include <Poco/Net/ServerSocketImpl.h>
#include <Poco/Net/SocketAddress.h>
#include <Poco/Net/StreamSocketImpl.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/base/broken.h"
#include "core/base/log.h"

namespace postern::net {
namespace {

using Poco::Net::ServerSocket;
using Poco::Net::SocketAddress;

constexpr std::string_view kUnixPrefix = "unix:";
constexpr int kBacklog = 4096;
constexpr int kAcceptsPerTurn = 64;     // so that a storm of connections does not starve the others
constexpr int64_t kResumeAfterMs = 100;  // when the process is out of file descriptors

// Whether somebody answers on a unix socket; if nobody does, its file is left over from a crash.
bool is_alive(const std::string& path) {
  try {
    Poco::Net::StreamSocket probe(SocketAddress(SocketAddress::UNIX_LOCAL, path));
    return true;
  } catch (const Poco::Exception&) {
    return false;
  }
}

Status bind_unix(ServerSocket& socket, const std::string& path, unsigned mode) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0) {
    if (!S_ISSOCK(info.st_mode)) return {Code::kInvalid, path + " exists and is not a socket"};
    if (is_alive(path)) return {Code::kInvalid, "another process already listens on " + path};
    ::unlink(path.c_str());
  }
  mode_t old_mask = ::umask(~mode & 0777u);  // the file must never be wider, not even for a moment
  try {
    socket.bind(SocketAddress(SocketAddress::UNIX_LOCAL, path), false);
  } catch (...) {
    ::umask(old_mask);
    throw;
  }
  ::umask(old_mask);
  return Status::ok();
}

// Poco has no constructors for these.
struct AdoptedImpl final : Poco::Net::ServerSocketImpl {
  explicit AdoptedImpl(int fd) { reset(fd); }
};
struct AdoptedSocket final : ServerSocket {
  explicit AdoptedSocket(int fd) : ServerSocket(new AdoptedImpl(fd), true) {}
};

Result<std::string> bound_address(int fd) {
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  auto* address = reinterpret_cast<sockaddr*>(&storage);
  if (::getsockname(fd, address, &length) != 0) return Status(Code::kIo, std::string("getsockname: ") + std::strerror(errno));
  if (storage.ss_family != AF_UNIX) return SocketAddress(address, length).toString();
  const auto* unix_address = reinterpret_cast<const sockaddr_un*>(&storage);
  return std::string(kUnixPrefix) + std::string(unix_address->sun_path, ::strnlen(unix_address->sun_path, sizeof unix_address->sun_path));
}

bool listens(int fd) {
  int value = 0, type = 0;
  socklen_t length = sizeof value;
  if (::getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &length) != 0 || value == 0) return false;
  length = sizeof type;
  return ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_STREAM;
}

}  // namespace

Listener::Listener(ServerSocket socket, std::string address, std::string unix_path)
    : socket_(std::move(socket)), address_(std::move(address)), unix_path_(std::move(unix_path)) {}

Listener::~Listener() {
  if (!unix_path_.empty()) ::unlink(unix_path_.c_str());
}

int Listener::fd() const { return socket_.impl()->sockfd(); }

Result<std::unique_ptr<Listener>> Listener::open(const std::string& address, unsigned unix_mode) {
  try {
    ServerSocket socket;
    std::string shown = address, unix_path;
    if (address.starts_with(kUnixPrefix)) {
      unix_path = address.substr(kUnixPrefix.size());
      if (Status bound = bind_unix(socket, unix_path, unix_mode); !bound) return bound.with_context("listen on " + address);
    } else {
      SocketAddress wanted(address);
      if (wanted.family() == SocketAddress::IPv6) {
        socket.bind6(wanted, true, false, true);
      } else {
        socket.bind(wanted, true, false);  // not SO_REUSEPORT: a second gateway would silently get half of the requests
      }
      shown = socket.address().toString();
    }
    socket.listen(kBacklog);
    socket.setBlocking(false);
    return std::unique_ptr<Listener>(new Listener(std::move(socket), shown, unix_path));
  } catch (const Poco::Exception& e) {
    return Status(Code::kIo, "listen on " + address + ": " + e.displayText());
  }
}

Result<std::unique_ptr<Listener>> Listener::adopt(int fd) {
  if (!listens(fd)) return Status(Code::kInvalid, "descriptor " + std::to_string(fd) + " is not a listening stream socket");
  try {
    AdoptedSocket socket(fd);
    ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    socket.setBlocking(false);
    auto address = bound_address(fd);
    if (!address) return address.status();
    std::unique_ptr<Listener> listener(new Listener(socket, *address, ""));
    listener->adopted_ = true;
    return listener;
  } catch (const Poco::Exception& e) {
    return Status(Code::kIo, "adopt a socket: " + e.displayText());
  }
}

Acceptor::Acceptor(EventLoop& loop, const Listener& listener, OnAccept on_accept, MakeStream make_stream)
    : loop_(loop), listener_(listener), on_accept_(std::move(on_accept)), make_stream_(std::move(make_stream)), resume_([this] {
        if (Status started = start(); started) return;
        pause(errno);
      }) {}

Acceptor::~Acceptor() { stop(); }

std::unique_ptr<Stream> Acceptor::make_plain(Poco::Net::StreamSocket socket) { return std::make_unique<PlainStream>(std::move(socket)); }

Status Acceptor::start() {
  if (watching_) return Status::ok();
  spare_.open();  // may fail when there is no descriptor: then it is tried again with the next pause
  Status watched = loop_.watch(listener_.fd(), EPOLLIN | EPOLLEXCLUSIVE, *this);
  watching_ = watched.is_ok();
  return watched;
}

void Acceptor::stop() {
  resume_.cancel();
  if (watching_) loop_.unwatch(listener_.fd());
  watching_ = false;
}

// The kernel would report the connection that waits again and again: look away for a moment.
void Acceptor::pause(int error) {
  stop();
  loop_.timers().arm(resume_, loop_.now_ms() + kResumeAfterMs);
  uint64_t suppressed = 0;
  if (!pauses_.pass(suppressed)) return;
  log::warn("cannot accept: raise the limit of open files", {{"error", std::strerror(error)}, {"suppressed", suppressed}});
}

void Acceptor::on_ready(uint32_t) {
  for (int i = 0; i < kAcceptsPerTurn && watching_; ++i) {
    if (!accept_one()) return;
  }
}

// False when nobody waits any more, or nobody can be accepted for now.
bool Acceptor::accept_one() {
  int fd = ::accept4(listener_.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd >= 0) {
    if (auto stream = make_stream_(Poco::Net::StreamSocket(new Poco::Net::StreamSocketImpl(fd)))) on_accept_(std::move(stream));
    return true;
  }
  if (errno == EINTR || errno == ECONNABORTED) return true;
  if (broken::kSpinWithoutFiles) return false;
  if (errno == EMFILE || errno == ENFILE) return refuse_one();
  if (errno == ENOMEM || errno == ENOBUFS) pause(errno);
  return false;
}

// Whoever connects when there is no descriptor left takes the spare one for a moment. EMFILE comes also where nobody waits.
bool Acceptor::refuse_one() {
  if (!spare_.open()) {
    pause(EMFILE);
    return false;
  }
  spare_.close();
  int fd = ::accept4(listener_.fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  int error = errno;
  if (fd >= 0) {
    auto& scratch = loop_.scratch();
    std::string_view answer = out_of_files_ ? out_of_files_() : std::string_view();
    if (!answer.empty()) {
      ::recv(fd, scratch.data(), scratch.size(), MSG_DONTWAIT);  // unread, it would make the close a reset
      ::send(fd, answer.data(), answer.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
      ::shutdown(fd, SHUT_WR);
    }
    ::close(fd);
  } else if (error != EAGAIN && error != EINTR && error != ECONNABORTED) {
    pause(error);
  }
  spare_.open();
  return fd >= 0;
}

}  // namespace postern::net
