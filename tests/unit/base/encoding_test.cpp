#include "core/base/encoding.h"

#include <gtest/gtest.h>

#include <cctype>
#include <random>
#include <vector>

namespace postern {
namespace {

using Bytes = std::vector<unsigned char>;

std::optional<Bytes> from_hex(std::string_view text, size_t size) {
  Bytes out(size);
  return decode_hex(text, out) ? std::optional(out) : std::nullopt;
}

std::optional<Bytes> from_base64(std::string_view text) {
  const auto size = base64_decoded_size(text);
  if (!size) return std::nullopt;
  Bytes out(*size);
  return decode_base64(text, out) ? std::optional(out) : std::nullopt;
}

TEST(SignatureHex, TakesBothCasesAndNothingElse) {
  EXPECT_EQ(from_hex("00ff9A", 3), (Bytes{0x00, 0xff, 0x9a}));
  EXPECT_EQ(from_hex("", 0), Bytes{});
  for (int c = 0; c < 256; ++c) {
    const bool digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    EXPECT_EQ(from_hex(std::string{'0', static_cast<char>(c)}, 1).has_value(), digit) << c;
    EXPECT_EQ(from_hex(std::string{static_cast<char>(c), '0'}, 1).has_value(), digit) << c;
  }
  EXPECT_FALSE(from_hex("0", 1));
  EXPECT_FALSE(from_hex("000", 1));
  EXPECT_FALSE(from_hex("0000", 1));
}

// RFC 4648 §10.
TEST(SignatureBase64, Vectors) {
  const std::pair<std::string, std::string> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, text] : vectors) {
    const Bytes bytes(plain.begin(), plain.end());
    EXPECT_EQ(encode_base64(bytes), text);
    EXPECT_EQ(from_base64(text), bytes) << text;
  }
}

TEST(SignatureBase64, OneTextForEachByteString) {
  EXPECT_FALSE(from_base64("Zh=="));  // unused bits set
  EXPECT_FALSE(from_base64("Zm9="));
  EXPECT_FALSE(from_base64("Zg"));
  EXPECT_FALSE(from_base64("Zg="));
  EXPECT_FALSE(from_base64("Z==="));
  EXPECT_FALSE(from_base64("===="));
  EXPECT_FALSE(from_base64("Zg==Zg=="));
  EXPECT_FALSE(from_base64("Zm9v\n"));
  EXPECT_FALSE(from_base64(" Zm9v"));
  EXPECT_FALSE(from_base64("Zm-_"));  // base64url
  Bytes three(3);
  EXPECT_FALSE(decode_base64("Zg==", three));
  for (int c = 0; c < 256; ++c) {
    const bool digit = std::isalnum(c) != 0 || c == '+' || c == '/';
    EXPECT_EQ(from_base64(std::string{'A', static_cast<char>(c), 'A', 'A'}).has_value(), digit) << c;
  }
}

TEST(SignatureEncoding, RoundTrips) {
  std::mt19937 random(7);
  for (size_t size = 0; size < 100; ++size) {
    Bytes bytes(size);
    for (auto& byte : bytes) byte = static_cast<unsigned char>(random());
    EXPECT_EQ(from_hex(encode_hex(bytes), size), bytes);
    EXPECT_EQ(from_base64(encode_base64(bytes)), bytes);
    EXPECT_EQ(encode_base64(bytes).size(), base64_encoded_size(size));
  }
}

}  // namespace
}  // namespace postern
