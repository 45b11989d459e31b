#include "tests/bench/voice/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace postern::voice_load {
namespace {

constexpr size_t kMaxHead = 16 << 10;
constexpr uint8_t kText = 0x1, kClose = 0x8, kPing = 0x9, kPong = 0xa;

// A masked payload, in place.
void unmask(char* data, size_t size, const char* mask) {
  uint32_t four = 0;
  std::memcpy(&four, mask, 4);
  const uint64_t eight = uint64_t{four} << 32 | four;
  size_t at = 0;
  for (; at + 8 <= size; at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, data + at, 8);
    word ^= eight;
    std::memcpy(data + at, &word, 8);
  }
  for (; at < size; ++at) data[at] = static_cast<char>(data[at] ^ mask[at % 4]);
}

}  // namespace

Connection::~Connection() {
  if (fd_ >= 0) close(fd_);
}

void Connection::attach(int fd, bool connecting) {
  fd_ = fd;
  connecting_ = connecting;
  phase_ = Phase::kHandshake;
  const int on = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  blocked_ = connecting;
  loop_.watch(fd_, *this, connecting ? EPOLLIN | EPOLLOUT : EPOLLIN, true);
}

void Connection::ready(uint32_t events) {
  if (phase_ == Phase::kEnded) return;
  if (connecting_) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return end(std::string("no connection: ") + std::strerror(error));
    connecting_ = false;
  }
  if ((events & EPOLLOUT) != 0 && blocked_) {
    blocked_ = false;
    loop_.watch(fd_, *this, EPOLLIN, false);
    const std::string rest = std::exchange(out_, {});
    send(rest);
  }
  if ((events & ~uint32_t{EPOLLOUT}) != 0 && phase_ != Phase::kEnded) receive();
}

void Connection::send(std::string_view bytes) {
  if (phase_ == Phase::kEnded) return;
  if (blocked_) {
    out_ += bytes;
    return;
  }
  const ssize_t n = bytes.empty() ? 0 : ::send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n < 0 && errno != EAGAIN && errno != EINTR) return end(std::string("it cannot be sent to: ") + std::strerror(errno));
  const size_t sent = n < 0 ? 0 : static_cast<size_t>(n);
  if (sent == bytes.size()) return;
  out_ += bytes.substr(sent);
  blocked_ = true;
  loop_.watch(fd_, *this, EPOLLIN | EPOLLOUT, false);
}

void Connection::end(std::string_view why) {
  if (phase_ == Phase::kEnded) return;
  phase_ = Phase::kEnded;
  close(fd_);
  fd_ = -1;
  on_end(why);
}

void Connection::reset(std::string_view why) {
  const linger at_once{1, 0};
  if (fd_ >= 0) setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  end(why);
}

void Connection::add_frame(std::string& out, uint8_t opcode, std::string_view payload) const {
  const uint8_t masked = role_ == Role::kClient ? 0x80 : 0;
  out += static_cast<char>(0x80 | opcode);
  if (payload.size() < 126) {
    out += static_cast<char>(masked | payload.size());
  } else {
    out += static_cast<char>(masked | 126);
    out += static_cast<char>(payload.size() >> 8);
    out += static_cast<char>(payload.size() & 255);
  }
  if (masked != 0) out.append(4, '\0');  // a mask that changes nothing
  out += payload;
}

void Connection::receive() {
  auto& buffer = loop_.buffer();
  const ssize_t n = recv(fd_, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return end(n == 0 ? "it has closed the connection" : std::strerror(errno));
  const auto size = static_cast<size_t>(n);
  if (in_.empty()) {
    const size_t taken = take(buffer.data(), size);
    if (phase_ != Phase::kEnded) in_.assign(buffer.data() + taken, size - taken);
  } else {
    in_.append(buffer.data(), size);
    std::string whole = std::exchange(in_, {});
    const size_t taken = take(whole.data(), whole.size());
    in_.assign(whole, taken);
  }
}

// How many bytes were whole frames.
size_t Connection::take(char* data, size_t size) {
  size_t at = phase_ == Phase::kHandshake ? take_head({data, size}) : 0;
  while (phase_ == Phase::kOpen && size - at >= 2) {
    const auto* const head = reinterpret_cast<const uint8_t*>(data + at);
    if ((head[0] & 0xf0) != 0x80) return end("a fragment, or a frame with an extension"), size;
    if ((head[1] & 127) == 127) return end("a frame of more than 64 KiB"), size;
    const bool masked = (head[1] & 0x80) != 0, longer = (head[1] & 127) == 126;
    const size_t begin = 2 + (longer ? 2 : 0) + (masked ? 4 : 0);
    if (size - at < begin) break;
    const size_t length = longer ? size_t{head[2]} << 8 | head[3] : head[1] & 127;
    if (size - at < begin + length) break;
    char* const payload = data + at + begin;
    if (masked) unmask(payload, length, payload - 4);
    at += begin + length;
    on_frame(head[0] & 15, {payload, length});
  }
  return phase_ == Phase::kEnded ? size : at;
}

size_t Connection::take_head(std::string_view data) {
  const size_t end_of_head = data.find("\r\n\r\n");
  if (end_of_head == data.npos) {
    if (data.size() > kMaxHead) end("a handshake without an end");
    return 0;
  }
  phase_ = Phase::kOpen;
  if (!on_head(data.substr(0, end_of_head))) end("the handshake was refused: " + std::string(data.substr(0, data.find('\r'))));
  return end_of_head + 4;
}

void Connection::on_frame(uint8_t opcode, std::string_view payload) {
  if (opcode == kText) return on_text(payload);
  if (opcode != kPing && opcode != kClose) return;
  std::string answer;
  add_frame(answer, opcode == kPing ? kPong : kClose, payload);
  send(answer);
  if (opcode == kClose) end("it has closed: " + (payload.size() > 2 ? std::string(payload.substr(2)) : "without a reason"));
}

}  // namespace postern::voice_load
