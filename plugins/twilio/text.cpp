#include "text.h"

#include <cstdint>

namespace twilio {
namespace {

struct Decoded {
  uint32_t code = 0;
  size_t bytes = 0;  // 0: no character begins here
};

// RFC 3629, section 4: without overlong forms, surrogates and what is beyond U+10FFFF.
Decoded decode_one(std::string_view text) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  unsigned char first = byte(0);
  if (first < 0x80) return {first, 1};
  size_t bytes = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < bytes) return {};
  uint32_t code = first & (0xFFu >> (bytes + 1));
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3Fu);
  }
  constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
  bool surrogate = code >= 0xD800 && code <= 0xDFFF;
  if (code < kSmallest[bytes] || surrogate || code > 0x10FFFF) return {};
  return {code, bytes};
}

bool is_xml_character(uint32_t code) {
  return code == '\t' || code == '\n' || code == '\r' || (code >= 0x20 && code != 0xFFFE && code != 0xFFFF);
}

}  // namespace

std::string clean_text(std::string_view bytes) {
  std::string clean;
  clean.reserve(bytes.size());
  while (!bytes.empty()) {
    Decoded one = decode_one(bytes);
    if (one.bytes == 0) {
      clean += "\xEF\xBF\xBD";
      bytes.remove_prefix(1);
      continue;
    }
    if (is_xml_character(one.code)) clean += bytes.substr(0, one.bytes);
    bytes.remove_prefix(one.bytes);
  }
  return clean;
}

std::string printable(std::string_view bytes, size_t limit) {
  std::string line(bytes.substr(0, limit));
  for (char& c : line) {
    if (c < 0x20 || c > 0x7E) c = '?';
  }
  return bytes.size() > limit ? line + "..." : line;
}

}  // namespace twilio
