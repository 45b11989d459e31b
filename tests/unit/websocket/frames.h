// Frames of RFC 6455 §5.2 put together by hand, so that tests do not believe the code that they test. Also such as no honest peer sends.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace postern::websocket::testing {

enum Opcode : uint8_t { kContinuation = 0, kText = 1, kBinary = 2, kClose = 8, kPing = 9, kPong = 10 };

struct Frame {
  uint8_t opcode = kText;
  std::string payload;
  bool fin = true;
  uint8_t rsv = 0;                       // the three bits
  std::optional<uint64_t> says = {};     // a length that is not the payload's
  int length_bytes = 0;                  // 2 or 8: longer than needed
  std::optional<bool> masked = {};       // otherwise than the role has it
};

inline std::string put(const Frame& frame, bool from_client) {
  const bool masked = frame.masked.value_or(from_client);
  const uint64_t length = frame.says.value_or(frame.payload.size());
  const int bytes = frame.length_bytes != 0 ? frame.length_bytes : length < 126 ? 0 : length < 65536 ? 2 : 8;
  std::string out;
  out += static_cast<char>((frame.fin ? 0x80 : 0) | frame.rsv << 4 | frame.opcode);
  out += static_cast<char>((masked ? 0x80 : 0) | (bytes == 0 ? length : bytes == 2 ? 126 : 127));
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(length >> (8 * i));
  constexpr std::string_view kMask("\x37\xfa\x21\x3d", 4);  // that of the RFC's examples (§5.7)
  if (masked) out += kMask;
  for (size_t i = 0; i < frame.payload.size(); ++i) out += masked ? static_cast<char>(frame.payload[i] ^ kMask[i % 4]) : frame.payload[i];
  return out;
}

inline std::string close_payload(uint16_t code, std::string_view reason = {}) {
  return std::string{static_cast<char>(code >> 8), static_cast<char>(code & 0xFF)}.append(reason);
}

// Takes one whole frame off the front, unmasked; nothing while there is none.
inline std::optional<Frame> get(std::string& bytes) {
  auto at = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  if (bytes.size() < 2) return std::nullopt;
  size_t head = 2;
  uint64_t length = at(1) & 0x7F;
  const size_t more = length == 126 ? 2 : length == 127 ? 8 : 0;
  if (bytes.size() < head + more) return std::nullopt;
  if (more > 0) length = 0;
  for (size_t i = 0; i < more; ++i) length = length << 8 | at(head + i);
  head += more;
  const bool masked = (at(1) & 0x80) != 0;
  if (bytes.size() < head + (masked ? 4 : 0) + length) return std::nullopt;
  Frame frame{static_cast<uint8_t>(at(0) & 0x0F), {}, (at(0) & 0x80) != 0, static_cast<uint8_t>(at(0) >> 4 & 7)};
  frame.masked = masked;
  const std::string mask = masked ? bytes.substr(head, 4) : std::string();
  frame.payload = bytes.substr(head + mask.size(), length);
  for (size_t i = 0; masked && i < length; ++i) frame.payload[i] = static_cast<char>(frame.payload[i] ^ mask[i % 4]);
  bytes.erase(0, head + mask.size() + length);
  return frame;
}

}  // namespace postern::websocket::testing
