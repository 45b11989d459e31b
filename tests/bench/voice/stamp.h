// Stamp: the first 18 bytes of a frame's 160 of audio: which call, the how manieth frame, and when it was sent. In base64 they are 24
// characters of their own, so that a frame is stamped and read without touching the rest. Thread-safety: pure functions.
#pragma once

#include <time.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace postern::voice_load {

inline constexpr size_t kFrameChars = 216;  // base64 of 160 bytes
inline constexpr int64_t kFrameNs = 20'000'000;

inline int64_t steady_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

struct Stamp {
  uint32_t call = 0;
  uint32_t sequence = 0;
  int64_t sent_ns = 0;
};

// A frame's payload: silence behind the stamp.
inline std::string frame_payload() {
  std::string payload(kFrameChars - 2, '/');  // 0xff, 0xff, 0xff
  payload.back() = 'w';                       // the last byte alone: 111111 11 and four bits of nothing
  return payload += "==";
}

inline constexpr char kBase64[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// Writes 24 characters at `at`.
inline void write_stamp(char* at, const Stamp& stamp) {
  std::array<uint8_t, 18> bytes{};
  std::memcpy(bytes.data(), &stamp.call, 4);
  std::memcpy(bytes.data() + 4, &stamp.sequence, 4);
  std::memcpy(bytes.data() + 8, &stamp.sent_ns, 8);
  for (size_t i = 0; i < bytes.size(); i += 3, at += 4) {
    const uint32_t three = uint32_t{bytes[i]} << 16 | uint32_t{bytes[i + 1]} << 8 | bytes[i + 2];
    for (int j = 0; j < 4; ++j) at[j] = kBase64[three >> (18 - 6 * j) & 63];
  }
}

inline std::optional<Stamp> read_stamp(std::string_view payload) {
  static constexpr auto kValues = [] {
    std::array<int8_t, 256> values{};
    values.fill(-1);
    for (int8_t i = 0; i < 64; ++i) values[static_cast<uint8_t>(kBase64[i])] = i;
    return values;
  }();
  if (payload.size() != kFrameChars) return std::nullopt;
  std::array<uint8_t, 18> bytes{};
  for (size_t i = 0; i < 24; i += 4) {
    int32_t three = 0;
    for (size_t j = 0; j < 4; ++j) {
      const int8_t value = kValues[static_cast<uint8_t>(payload[i + j])];
      if (value < 0) return std::nullopt;
      three = three << 6 | value;
    }
    for (size_t j = 0; j < 3; ++j) bytes[i / 4 * 3 + j] = static_cast<uint8_t>(three >> (16 - 8 * j));
  }
  Stamp stamp;
  std::memcpy(&stamp.call, bytes.data(), 4);
  std::memcpy(&stamp.sequence, bytes.data() + 4, 4);
  std::memcpy(&stamp.sent_ns, bytes.data() + 8, 8);
  return stamp;
}

}  // namespace postern::voice_load
