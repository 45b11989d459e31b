#include "base64.h"

#include <openssl/evp.h>

#include <array>
#include <cstdint>

namespace openai_realtime {
namespace {

// Bit 7 is set where a byte is of no use.
constexpr std::array<uint8_t, 256> kStrange = [] {
  std::array<uint8_t, 256> table{};
  table.fill(0x80);
  for (char c : std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")) table[static_cast<uint8_t>(c)] = 0;
  return table;
}();

}  // namespace

// One pass without a branch for each byte: it runs for every frame of every call.
std::optional<size_t> base64_size(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  size_t padding = 0;
  while (padding < 2 && text.ends_with('=')) text.remove_suffix(1), ++padding;
  uint8_t strange = 0;
  for (char c : text) strange |= kStrange[static_cast<uint8_t>(c)];
  if (strange != 0) return std::nullopt;
  return text.size() * 3 / 4;
}

std::string base64_decode(std::string_view text) {
  const size_t size = base64_size(text).value_or(0);
  std::string bytes(text.size() / 4 * 3 + 1, '\0');
  const int wrote = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()), reinterpret_cast<const unsigned char*>(text.data()),
                                    static_cast<int>(text.size()));
  bytes.resize(wrote < 0 ? 0 : size);  // EVP counts the padding as zeros
  return bytes;
}

std::string base64_encode(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int wrote = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), reinterpret_cast<const unsigned char*>(bytes.data()),
                                    static_cast<int>(bytes.size()));
  text.resize(static_cast<size_t>(wrote));
  return text;
}

}  // namespace openai_realtime
