#include "core/websocket/codec.h"

#include <simdjson.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/base/ids.h"

namespace postern::websocket {
namespace {

constexpr size_t kMaxControl = 125;

bool is_control(uint8_t opcode) { return (opcode & 8) != 0; }
bool is_utf8(std::string_view text) { return simdjson::validate_utf8(text.data(), text.size()); }

// Cut where a character begins.
std::string_view cut(std::string_view text, size_t most) {
  if (text.size() <= most) return text;
  while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0) == 0x80) --most;
  return text.substr(0, most);
}

}  // namespace

bool is_close_code(uint16_t code) {
  if (code >= 3000 && code <= 4999) return true;
  return code >= 1000 && code <= 1014 && code != 1004 && code != kNoStatus && code != kLost;
}

Codec::Codec(Role role, size_t max_message, Receiver& receiver) : role_(role), max_message_(max_message), receiver_(receiver) {
  const wslay_frame_callbacks callbacks{give, take, make_mask};
  wslay_frame_context* context = nullptr;
  if (wslay_frame_context_init(&context, &callbacks, this) != 0) throw std::bad_alloc();
  context_.reset(context);
}

ssize_t Codec::take(uint8_t* to, size_t size, int, void* self) {
  std::string_view& input = static_cast<Codec*>(self)->input_;
  const size_t n = std::min(size, input.size());
  if (n == 0) return -1;
  std::memcpy(to, input.data(), n);
  input.remove_prefix(n);
  return static_cast<ssize_t>(n);
}

ssize_t Codec::give(const uint8_t* data, size_t size, int, void* self) {
  static_cast<Codec*>(self)->output_->append(reinterpret_cast<const char*>(data), size);
  return static_cast<ssize_t>(size);
}

// §10.3: from a strong source, a new one for each frame. Sixty-four at a time, for a system call costs more than a frame.
int Codec::make_mask(uint8_t* to, size_t size, void*) {
  thread_local std::string pool;
  if (pool.size() < size) pool = random_bytes(256);
  std::memcpy(to, pool.data() + pool.size() - size, size);
  pool.resize(pool.size() - size);
  return 0;
}

void Codec::fail(uint16_t code, const char* why) {
  reading_ = false;
  failure_ = Failure{code, why};
}

void Codec::feed(std::string_view bytes) {
  input_ = bytes;
  while (reading_) {
    wslay_frame_iocb frame{};
    const ssize_t n = wslay_frame_recv(context_.get(), &frame);
    if (n == WSLAY_ERR_WANT_READ) break;
    if (n < 0) return fail(kProtocolError, "a frame is malformed");
    if (!in_frame_ && !begin_frame(frame)) return;
    const std::string_view data(reinterpret_cast<const char*>(frame.data), frame.data_length);
    const bool whole = !in_frame_ && data.size() == frame.payload_length;
    if (!in_frame_) rest_ = frame.payload_length;
    rest_ -= data.size();
    in_frame_ = rest_ > 0;
    if (whole) {
      end_frame(frame, data);
      continue;
    }
    std::string& kept = is_control(frame.opcode) ? control_ : message_;
    kept.append(data);
    if (!in_frame_) end_frame(frame, {});
  }
  input_ = {};
}

// What the head of a frame says, before any of it is kept.
bool Codec::begin_frame(const wslay_frame_iocb& frame) {
  const auto refuse = [this](uint16_t code, const char* why) {
    fail(code, why);
    return false;
  };
  if (frame.rsv != 0) return refuse(kProtocolError, "a reserved bit is set");
  if ((frame.mask != 0) != (role_ == Role::kServer)) return refuse(kProtocolError, "clients mask their frames, servers do not");
  switch (frame.opcode) {
    case WSLAY_CONNECTION_CLOSE:
    case WSLAY_PING:
    case WSLAY_PONG:
      if (frame.fin == 0) return refuse(kProtocolError, "a control frame is fragmented");
      if (frame.payload_length > kMaxControl) return refuse(kProtocolError, "a control frame is too long");
      control_.clear();
      return true;
    case WSLAY_CONTINUATION_FRAME:
      if (!fragmented_) return refuse(kProtocolError, "there is nothing to continue");
      break;
    case WSLAY_TEXT_FRAME:
    case WSLAY_BINARY_FRAME:
      if (fragmented_) return refuse(kProtocolError, "a message begins inside another");
      fragmented_ = frame.opcode == WSLAY_TEXT_FRAME ? Kind::kText : Kind::kBinary;
      break;
    default:
      return refuse(kProtocolError, "the opcode is unknown");
  }
  if (frame.payload_length > max_message_ - message_.size()) return refuse(kTooBig, "the message is too long");
  return true;
}

// `whole`: the payload where all of it came at once; else it is in message_ or control_.
void Codec::end_frame(const wslay_frame_iocb& frame, std::string_view whole) {
  if (is_control(frame.opcode)) return end_control(frame.opcode, frame.payload_length == whole.size() ? whole : std::string_view(control_));
  if (frame.fin == 0) {
    message_.append(whole);
    return;
  }
  if (message_.empty()) return end_message(whole);
  message_.append(whole);
  end_message(message_);
}

void Codec::end_message(std::string_view data) {
  const Kind kind = *fragmented_;
  fragmented_.reset();
  if (kind == Kind::kText && !is_utf8(data)) return fail(kNotUtf8, "a text is not UTF-8");
  receiver_.on_message(kind, data);
  // A large message was the exception; thousands of sessions must not each keep a large buffer.
  message_.capacity() > 16 * 1024 ? std::string().swap(message_) : message_.clear();
}

void Codec::end_control(uint8_t opcode, std::string_view data) {
  if (opcode == WSLAY_PING) return receiver_.on_ping(data);
  if (opcode == WSLAY_PONG) return receiver_.on_pong(data);
  end_close(data);
}

void Codec::end_close(std::string_view data) {
  if (data.empty()) {
    reading_ = false;
    return receiver_.on_close(kNoStatus, {});
  }
  if (data.size() == 1) return fail(kProtocolError, "a close code has two bytes");
  const auto code = static_cast<uint16_t>(static_cast<unsigned char>(data[0]) << 8 | static_cast<unsigned char>(data[1]));
  if (!is_close_code(code)) return fail(kProtocolError, "the close code is none");
  const std::string_view reason = data.substr(2);
  if (!is_utf8(reason)) return fail(kNotUtf8, "a close reason is not UTF-8");
  reading_ = false;
  receiver_.on_close(code, reason);
}

void Codec::put(uint8_t opcode, std::string_view data, std::string& out) {
  output_ = &out;
  wslay_frame_iocb frame{};
  frame.fin = 1;
  frame.opcode = opcode;
  frame.mask = role_ == Role::kClient ? 1 : 0;
  frame.payload_length = data.size();
  frame.data = reinterpret_cast<const uint8_t*>(data.data());
  frame.data_length = data.size();
  wslay_frame_send(context_.get(), &frame);  // into memory: it neither fails nor blocks
  output_ = nullptr;
}

void Codec::put_message(Kind kind, std::string_view data, std::string& out) {
  put(kind == Kind::kText ? WSLAY_TEXT_FRAME : WSLAY_BINARY_FRAME, data, out);
}
void Codec::put_ping(std::string_view data, std::string& out) { put(WSLAY_PING, data.substr(0, kMaxControl), out); }
void Codec::put_pong(std::string_view data, std::string& out) { put(WSLAY_PONG, data.substr(0, kMaxControl), out); }

void Codec::put_close(uint16_t code, std::string_view reason, std::string& out) {
  if (code == kNoStatus) return put(WSLAY_CONNECTION_CLOSE, {}, out);
  std::string payload{static_cast<char>(code >> 8), static_cast<char>(code & 0xFF)};
  payload.append(cut(reason, kMaxControl - 2));
  put(WSLAY_CONNECTION_CLOSE, payload, out);
}

}  // namespace postern::websocket
