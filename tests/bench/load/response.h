// The little that a load generator reads of an HTTP/1.1 response: where it ends, its status, whether the connection
// stays. Thread-safety: pure functions.
#pragma once

#include <strings.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace postern::load {

struct ParsedResponse {
  enum class State { kIncomplete, kComplete, kMalformed };
  State state = State::kIncomplete;
  size_t size = 0;  // of head and body
  int status = 0;
  bool keep_alive = true;
  std::string_view body;
};

inline bool starts_with_name(std::string_view line, std::string_view name) {
  return line.size() > name.size() && strncasecmp(line.data(), name.data(), name.size()) == 0;
}

// A response needs a Content-Length, unless it is 204.
inline ParsedResponse parse_response(std::string_view bytes) {
  constexpr size_t kLargestHead = 16384;
  ParsedResponse parsed;
  const size_t head_end = bytes.find("\r\n\r\n");
  if (head_end == std::string_view::npos) {
    if (bytes.size() > kLargestHead) parsed.state = ParsedResponse::State::kMalformed;
    return parsed;
  }
  parsed.state = ParsedResponse::State::kMalformed;
  if (!bytes.starts_with("HTTP/1.") || head_end < 12) return parsed;
  parsed.status = (bytes[9] - '0') * 100 + (bytes[10] - '0') * 10 + (bytes[11] - '0');
  bool has_length = false;
  uint64_t length = 0;
  for (size_t at = bytes.find("\r\n"); at < head_end; at = bytes.find("\r\n", at + 2)) {
    const std::string_view line = bytes.substr(at + 2);
    if (starts_with_name(line, "content-length:")) {
      size_t i = 15;
      while (line[i] == ' ') ++i;
      for (has_length = true; line[i] >= '0' && line[i] <= '9' && length < (1 << 30); ++i) {
        length = length * 10 + static_cast<uint64_t>(line[i] - '0');
      }
    } else if (starts_with_name(line, "connection: close")) {
      parsed.keep_alive = false;
    }
  }
  if (!has_length && parsed.status != 204) return parsed;
  parsed.size = head_end + 4 + length;
  parsed.body = bytes.substr(head_end + 4, length);
  parsed.state = bytes.size() < parsed.size ? ParsedResponse::State::kIncomplete : ParsedResponse::State::kComplete;
  return parsed;
}

}  // namespace postern::load
