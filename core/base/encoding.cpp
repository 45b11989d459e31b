#include "core/base/encoding.h"

#include <openssl/evp.h>

namespace postern {
namespace {

// All ones where low <= c <= high, else 0. The shift is arithmetic (C++20).
int in_range(int c, int low, int high) { return ((low - 1 - c) & (c - high - 1)) >> 8; }

// Each sum starts at -1 ("no digit"), so that the one range that fits adds its value and 1.
int hex_digit(char character) {
  const int c = static_cast<unsigned char>(character);
  return -1 + (in_range(c, '0', '9') & (c - '0' + 1)) + (in_range(c, 'a', 'f') & (c - 'a' + 11)) +
         (in_range(c, 'A', 'F') & (c - 'A' + 11));
}

int base64_digit(char character) {
  const int c = static_cast<unsigned char>(character);
  return -1 + (in_range(c, 'A', 'Z') & (c - 'A' + 1)) + (in_range(c, 'a', 'z') & (c - 'a' + 27)) +
         (in_range(c, '0', '9') & (c - '0' + 53)) + (in_range(c, '+', '+') & 63) + (in_range(c, '/', '/') & 64);
}

size_t padding_of(std::string_view text) {
  if (text.ends_with("==")) return 2;
  return text.ends_with('=') ? 1 : 0;
}

}  // namespace

bool decode_hex(std::string_view text, std::span<unsigned char> out) {
  if (text.size() != 2 * out.size()) return false;
  int bad = 0;
  for (size_t i = 0; i < out.size(); ++i) {
    const int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
    bad |= high | low;
    out[i] = static_cast<unsigned char>((high & 15) << 4 | (low & 15));
  }
  return bad >= 0;
}

std::string encode_hex(std::span<const unsigned char> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const unsigned char byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::optional<size_t> base64_decoded_size(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  return text.size() / 4 * 3 - padding_of(text);
}

bool decode_base64(std::string_view text, std::span<unsigned char> out) {
  if (base64_decoded_size(text) != out.size()) return false;
  const size_t digits = text.size() - padding_of(text);
  int bad = 0;
  unsigned bits = 0, count = 0;
  size_t written = 0;
  for (size_t i = 0; i < digits; ++i) {
    const int digit = base64_digit(text[i]);
    bad |= digit;
    bits = bits << 6 | (static_cast<unsigned>(digit) & 63);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out[written++] = static_cast<unsigned char>(bits >> count);
  }
  // Without this a signature had several spellings, and what is compared as text elsewhere could be passed by.
  const unsigned unused = bits & ((1u << count) - 1);
  return bad >= 0 && unused == 0;
}

std::string encode_base64(std::span<const unsigned char> bytes) {
  std::string text(base64_encoded_size(bytes.size()),
                   '\0');  // EVP_EncodeBlock ends with a NUL: std::string has that byte
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), bytes.data(), static_cast<int>(bytes.size()));
  return text;
}

}  // namespace postern
