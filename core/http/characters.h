// Character classes of HTTP, as one table: one lookup decides for a byte. Thread-safety: constants and pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace postern::http {

enum CharClass : uint8_t {
  kTokenChar = 1,   // tchar (RFC 9110 §5.6.2): methods and header names
  kFieldChar = 2,   // in a header value: HTAB, SP, visible ASCII, obs-text (RFC 9110 §5.5)
  kTargetChar = 4,  // in a request target: visible ASCII without '#', which no client sends
  kHostChar = 8,    // in a host name or IPv4 address: the unreserved characters of RFC 3986 §2.3
  kDigitChar = 16,
  kLineChar = 32,  // in a request line: SP and visible ASCII
};

inline constexpr std::array<uint8_t, 256> kCharClasses = [] {
  std::array<uint8_t, 256> table{};
  for (unsigned c = 0; c < 256; ++c) {
    const bool digit = c >= '0' && c <= '9';
    const bool alnum = digit || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool visible = c > 0x20 && c < 0x7f;
    const auto one_of = [c](std::string_view set) {
      return c < 0x80 && set.find(static_cast<char>(c)) != std::string_view::npos;
    };
    unsigned classes = 0;
    if (alnum || one_of("!#$%&'*+-.^_`|~")) classes |= kTokenChar;
    if (visible || c == ' ' || c == '\t' || c >= 0x80) classes |= kFieldChar;
    if (visible && c != '#') classes |= kTargetChar;
    if (alnum || one_of("-._~")) classes |= kHostChar;
    if (digit) classes |= kDigitChar;
    if (visible || c == ' ') classes |= kLineChar;
    table[c] = static_cast<uint8_t>(classes);
  }
  return table;
}();

inline bool is_char(char c, CharClass wanted) { return (kCharClasses[static_cast<uint8_t>(c)] & wanted) != 0; }

// Whether every byte is of the class; true for an empty text. Without branches inside, because hostile input is the
// rare one.
inline bool all_chars(std::string_view text, CharClass wanted) {
  uint8_t common = wanted;
  for (const char c : text) common &= kCharClasses[static_cast<uint8_t>(c)];
  return common != 0;
}

// The value of a hexadecimal digit, or -1.
inline int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// A white space that may surround a header value (OWS, RFC 9110 §5.6.3).
inline std::string_view trim_white_space(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace postern::http
