#include "tests/support/wire_client.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace postern::testing {
namespace {

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error(what + ": " + std::strerror(errno)); }

bool same_name(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

bool wait_for(int fd, short events, Clock::time_point deadline, short* seen = nullptr) {
  for (;;) {
    pollfd entry{fd, events, 0};
    const int n = poll(&entry, 1, left_ms(deadline));
    if (n < 0 && errno == EINTR) continue;
    if (seen != nullptr) *seen = entry.revents;
    return n > 0;
  }
}

std::optional<Response> parse_head(std::string_view head) {
  Response response;
  size_t end = head.find("\r\n");
  const std::string_view line = head.substr(0, end);
  if (!line.starts_with("HTTP/1.") || line.size() < 13 || line[8] != ' ' || line[12] != ' ') return std::nullopt;
  response.version = line.substr(0, 8);
  response.reason = line.substr(13);
  const auto digits = line.substr(9, 3);
  if (std::from_chars(digits.data(), digits.data() + 3, response.status).ptr != digits.data() + 3) return std::nullopt;
  for (head.remove_prefix(end + 2); !head.empty(); head.remove_prefix(end + 2)) {
    end = head.find("\r\n");
    const std::string_view field = head.substr(0, end);
    const size_t colon = field.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    std::string_view value = field.substr(colon + 1);
    while (value.starts_with(' ')) value.remove_prefix(1);
    response.headers.emplace_back(field.substr(0, colon), value);
  }
  return response;
}

std::optional<size_t> length_of_body(const Response& response, bool to_head) {
  if (to_head || response.status < 200 || response.status == 204 || response.status == 304) return 0;
  const auto text = response.header("Content-Length");
  size_t length = 0;
  if (!text) return std::nullopt;
  const char* const end = text->data() + text->size();
  if (std::from_chars(text->data(), end, length).ptr != end) return std::nullopt;
  return length;
}

}  // namespace

std::optional<std::string> Response::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (same_name(key, name)) return value;
  }
  return std::nullopt;
}

WireClient WireClient::tcp(const std::string& host, uint16_t port, milliseconds timeout) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) throw std::runtime_error("not an address: " + host);
  WireClient client(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (client.fd_ < 0) fail("socket");
  const int on = 1;
  setsockopt(client.fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(client.fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    if (errno != EINPROGRESS) fail("connect");
    if (!wait_for(client.fd_, POLLOUT, Clock::now() + timeout)) throw std::runtime_error("connect: timed out");
    socklen_t size = sizeof errno;
    getsockopt(client.fd_, SOL_SOCKET, SO_ERROR, &errno, &size);
    if (errno != 0) fail("connect");
  }
  return client;
}

WireClient WireClient::unix_socket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw std::runtime_error("path too long for a socket: " + path);
  std::copy(path.begin(), path.end(), address.sun_path);
  WireClient client(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (client.fd_ < 0) fail("socket");
  if (connect(client.fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fail("connect " + path);
  return client;
}

WireClient::WireClient(WireClient&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), ending_(other.ending_), received_(std::move(other.received_)) {}

WireClient::~WireClient() { close(); }

void WireClient::note_end(int error) {
  if (!ended()) ending_ = error == 0 ? Ending::kClosed : Ending::kReset;
}

bool WireClient::receive(Clock::time_point deadline) {
  char buffer[65536];
  while (!ended() && fd_ >= 0 && wait_for(fd_, POLLIN, deadline)) {
    const ssize_t n = recv(fd_, buffer, sizeof buffer, 0);
    if (n > 0) {
      received_.append(buffer, static_cast<size_t>(n));
      return true;
    }
    if (n == 0) note_end(0);
    if (n < 0 && errno != EAGAIN && errno != EINTR) note_end(errno);
  }
  return false;
}

bool WireClient::send(std::string_view bytes, milliseconds timeout) { return send(bytes, timeout, true); }
bool WireClient::send_unread(std::string_view bytes, milliseconds timeout) { return send(bytes, timeout, false); }

bool WireClient::send(std::string_view bytes, milliseconds timeout, bool reading) {
  const auto deadline = Clock::now() + timeout;
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n > 0) {
      bytes.remove_prefix(static_cast<size_t>(n));
      continue;
    }
    if (errno != EAGAIN && errno != EINTR) {
      const int error = errno;
      while (reading && receive(Clock::now())) continue;  // what arrived before the end is still there
      note_end(error);
      return false;
    }
    short seen = 0;
    const bool both = reading && !ended();
    if (!wait_for(fd_, static_cast<short>(both ? POLLOUT | POLLIN : POLLOUT), deadline, &seen)) return false;
    if ((seen & POLLIN) != 0) receive(Clock::now());
  }
  return true;
}

bool WireClient::send_in_pieces(std::string_view bytes, size_t size, milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  for (; !bytes.empty(); bytes.remove_prefix(std::min(size, bytes.size()))) {
    if (!send(bytes.substr(0, size), milliseconds(left_ms(deadline)))) return false;
    const bool arrived = eventually(milliseconds(left_ms(deadline)), [this] {
      int waiting = 0;
      return ioctl(fd_, SIOCOUTQ, &waiting) != 0 || waiting == 0;
    });
    if (!arrived) return false;
  }
  return true;
}

std::optional<Response> WireClient::read_response(milliseconds timeout, bool to_head) {
  const auto deadline = Clock::now() + timeout;
  size_t head_end = 0;
  while ((head_end = received_.find("\r\n\r\n")) == std::string::npos) {
    if (!receive(deadline)) return std::nullopt;
  }
  auto response = parse_head(std::string_view(received_).substr(0, head_end + 2));
  if (!response) return std::nullopt;
  const auto length = length_of_body(*response, to_head);
  if (!length) return std::nullopt;
  const size_t begin = head_end + 4;
  while (received_.size() < begin + *length) {
    if (!receive(deadline)) return std::nullopt;
  }
  response->body = received_.substr(begin, *length);
  received_.erase(0, begin + *length);
  return response;
}

std::string WireClient::read_until_close(milliseconds timeout) {
  const auto deadline = Clock::now() + timeout;
  while (receive(deadline)) continue;
  return std::exchange(received_, {});
}

void WireClient::shutdown_write() { shutdown(fd_, SHUT_WR); }

void WireClient::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

void WireClient::abort() {
  const linger now{1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  close();
}

std::string request_text(std::string_view method, std::string_view target, const Headers& headers,
                         std::string_view body) {
  std::string text = std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: gateway.test\r\n";
  bool framed = false;
  for (const auto& [name, value] : headers) {
    text += name + ": " + value + "\r\n";
    framed = framed || same_name(name, "Transfer-Encoding") || same_name(name, "Content-Length");
  }
  if (!framed && (!body.empty() || method == "POST")) text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  return (text += "\r\n") += body;
}

}  // namespace postern::testing
