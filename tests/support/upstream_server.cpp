#include "tests/support/upstream_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <csignal>
#include <optional>
#include <stdexcept>

namespace postern::testing {
namespace {

constexpr size_t kLargestHead = 64 * 1024;

// Blocking, plain or TLS. 0 or less: the end.
ssize_t read_some(int fd, ssl_st* tls, char* buffer, size_t size) {
  return tls != nullptr ? SSL_read(tls, buffer, static_cast<int>(size)) : ::recv(fd, buffer, size, 0);
}

// The head's end is there; what is wrong with it, or "".
std::string parse_head(std::string_view head, UpstreamRequest& request) {
  size_t line_end = head.find("\r\n");
  std::string_view line = head.substr(0, line_end);
  size_t first = line.find(' '), second = line.rfind(' ');
  if (first == std::string_view::npos || second <= first || line.substr(second + 1) != "HTTP/1.1")
    return "request line: " + std::string(line);
  request.method = line.substr(0, first);
  request.target = line.substr(first + 1, second - first - 1);
  if (!request.target.starts_with('/')) return "target: " + request.target;
  for (std::string_view rest = head.substr(line_end + 2); rest != "\r\n";) {
    size_t end = rest.find("\r\n");
    std::string_view field = rest.substr(0, end);
    size_t colon = field.find(": ");
    if (colon == std::string_view::npos && !field.ends_with(':')) return "header: " + std::string(field);
    std::string_view value = colon == std::string_view::npos ? std::string_view() : field.substr(colon + 2);
    request.headers.emplace_back(field.substr(0, field.find(':')), value);
    rest.remove_prefix(end + 2);
  }
  if (request.header("Host").empty() || request.header("Host") == "(twice)") return "not exactly one Host";
  if (!request.header("Transfer-Encoding").empty() || !request.header("Expect").empty()) return "a body that is not framed by its length";
  return {};
}

}  // namespace

std::string UpstreamRequest::header(std::string_view name) const {
  std::string found;
  size_t count = 0;
  for (const auto& [key, value] : headers) {
    if (key != name) continue;
    found = value;
    ++count;
  }
  return count > 1 ? "(twice)" : found;
}

void Conversation::answer(int status, std::string_view body, std::string_view more) {
  send("HTTP/1.1 " + std::to_string(status) + " Because\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + std::string(more) +
       "\r\n" + (request.method == "HEAD" ? std::string() : std::string(body)));
}

bool Conversation::send(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = tls_ != nullptr ? SSL_write(tls_, bytes.data(), static_cast<int>(bytes.size()))
                                : ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) {
      closed_ = true;
      return false;
    }
    sent_ += static_cast<uint64_t>(n);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

void Conversation::hold() {
  pollfd waiting{fd_, POLLRDHUP, 0};
  while (::poll(&waiting, 1, -1) < 0) {
  }
  closed_ = true;
}

UpstreamServer::UpstreamServer(Script script, const TestCertificates* certificates) : script_(std::move(script)) {
  std::signal(SIGPIPE, SIG_IGN);  // SSL_write has no MSG_NOSIGNAL
  if (certificates != nullptr) {
    tls_.reset(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free);
    bool set = SSL_CTX_use_certificate_chain_file(tls_.get(), certificates->certificate_file.c_str()) == 1 &&
               SSL_CTX_use_PrivateKey_file(tls_.get(), certificates->key_file.c_str(), SSL_FILETYPE_PEM) == 1;
    if (!set) throw std::runtime_error("the certificates of the test are not usable");
  }
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  bool listens = listener_ >= 0 && ::bind(listener_, generic, size) == 0 && ::listen(listener_, 512) == 0 &&
                 ::getsockname(listener_, generic, &size) == 0;
  if (!listens) throw std::runtime_error("cannot listen on 127.0.0.1");
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept(); });
}

UpstreamServer::~UpstreamServer() {
  stopping_ = true;
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  {
    std::lock_guard lock(mutex_);
    for (int fd : open_) ::shutdown(fd, SHUT_RDWR);
  }
  for (std::thread& thread : threads_) thread.join();
  ::close(listener_);
}

void UpstreamServer::accept() {
  while (!stopping_) {
    int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    size_t connection = ++connections_;
    std::lock_guard lock(mutex_);
    open_.push_back(fd);
    threads_.emplace_back([this, fd, connection] { serve(fd, connection); });
  }
}

void UpstreamServer::serve(int fd, size_t connection) {
  std::unique_ptr<ssl_st, decltype(&SSL_free)> tls(tls_ ? SSL_new(tls_.get()) : nullptr, &SSL_free);
  bool greeted = !tls || (SSL_set_fd(tls.get(), fd) == 1 && SSL_accept(tls.get()) == 1);
  if (greeted && !stopping_) converse(fd, tls.get(), connection);
  std::lock_guard lock(mutex_);
  open_.erase(std::find(open_.begin(), open_.end(), fd));
  ::close(fd);
}

void UpstreamServer::converse(int fd, ssl_st* tls, size_t connection) {
  std::string input;
  char buffer[16 * 1024];
  auto more = [&] {
    ssize_t n = read_some(fd, tls, buffer, sizeof buffer);
    if (n > 0) input.append(buffer, static_cast<size_t>(n));
    return n > 0;
  };
  while (true) {
    size_t end;
    while ((end = input.find("\r\n\r\n")) == std::string::npos) {
      if (input.size() > kLargestHead) return fault("a head without end");
      if (!more()) return input.empty() ? void() : fault("a connection that ended within a head");
    }
    UpstreamRequest request;
    if (std::string wrong = parse_head(std::string_view(input).substr(0, end + 4), request); !wrong.empty()) return fault(wrong);
    input.erase(0, end + 4);
    size_t length = 0;
    std::string text = request.header("Content-Length");
    auto [last, error] = std::from_chars(text.data(), text.data() + text.size(), length);
    if (!text.empty() && (error != std::errc() || last != text.data() + text.size())) return fault("Content-Length: " + text);
    while (input.size() < length) {
      if (!more()) return fault("a connection that ended within a body");
    }
    request.body = input.substr(0, length);
    input.erase(0, length);
    request.connection = connection;
    {
      std::lock_guard lock(mutex_);
      request.number = requests_.size() + 1;
      requests_.push_back(request);
    }
    Conversation conversation(std::move(request), fd, tls, bytes_sent_);
    script_(conversation);
    if (conversation.closed_ || stopping_) return;
  }
}

void UpstreamServer::fault(const std::string& text) {
  std::lock_guard lock(mutex_);
  if (!stopping_) faults_.push_back(text);
}

std::vector<UpstreamRequest> UpstreamServer::requests() const {
  std::lock_guard lock(mutex_);
  return requests_;
}

std::vector<std::string> UpstreamServer::faults() const {
  std::lock_guard lock(mutex_);
  return faults_;
}

}  // namespace postern::testing
