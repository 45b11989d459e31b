#include "core/net/client_key.h"

#include <arpa/inet.h>

#include <cstring>
#include <string>

#include "core/base/ids.h"

namespace postern::net {
namespace {

// IPv6 has given none of these prefixes to anybody (RFC 4291: 0000::/8 is reserved), so they are free for what is no IPv6 address.
constexpr uint64_t kIpv4 = 1ull << 32, kOther = 2ull << 32;
constexpr unsigned char kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

uint64_t big_endian(const unsigned char* bytes, size_t size) {
  uint64_t value = 0;
  for (size_t i = 0; i < size; ++i) value = value << 8 | bytes[i];
  return value;
}

__extension__ using Wide = unsigned __int128;

uint64_t fold(uint64_t a, uint64_t b) {
  Wide product = Wide{a} * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

}  // namespace

ClientKey client_key(std::string_view address) {
  char text[INET6_ADDRSTRLEN];
  address = address.substr(0, address.find('%'));  // without the interface of a link-local address
  if (address.size() >= sizeof text) return {kOther};
  std::memcpy(text, address.data(), address.size());
  text[address.size()] = '\0';
  unsigned char bytes[16];
  if (::inet_pton(AF_INET, text, bytes) == 1) return {kIpv4 | big_endian(bytes, 4)};
  if (::inet_pton(AF_INET6, text, bytes) != 1) return {kOther};
  if (std::memcmp(bytes, kMapped, sizeof kMapped) == 0) return {kIpv4 | big_endian(bytes + 12, 4)};
  return {big_endian(bytes, 8)};
}

KeyedHash::KeyedHash() {
  std::string seed = random_bytes(sizeof first_ + sizeof second_);
  std::memcpy(&first_, seed.data(), sizeof first_);
  std::memcpy(&second_, seed.data() + sizeof first_, sizeof second_);
  second_ |= 1;
}

uint64_t KeyedHash::operator()(ClientKey key) const { return fold(fold(key.value ^ first_, second_) ^ first_, 0x9E3779B97F4A7C15ull); }

}  // namespace postern::net
