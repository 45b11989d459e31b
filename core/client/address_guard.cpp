#include "core/client/address_guard.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <array>
#include <cstdint>
#include <cstring>

namespace postern::client {
namespace {

struct V4Network {
  uint32_t address;
  int bits;
};
constexpr uint32_t v4(uint32_t a, uint32_t b, uint32_t c, uint32_t d) { return a << 24 | b << 16 | c << 8 | d; }

// IANA's special-purpose registry.
constexpr V4Network kNotPublicV4[] = {
    {v4(0, 0, 0, 0), 8},       {v4(10, 0, 0, 0), 8},     {v4(100, 64, 0, 0), 10},  {v4(127, 0, 0, 0), 8},
    {v4(169, 254, 0, 0), 16},  {v4(172, 16, 0, 0), 12},  {v4(192, 0, 0, 0), 24},   {v4(192, 0, 2, 0), 24},
    {v4(192, 88, 99, 0), 24},  {v4(192, 168, 0, 0), 16}, {v4(198, 18, 0, 0), 15},  {v4(198, 51, 100, 0), 24},
    {v4(203, 0, 113, 0), 24},  {v4(224, 0, 0, 0), 4},    {v4(240, 0, 0, 0), 4},
    {v4(168, 63, 129, 16), 32},  // Azure's host agent, which looks public
};

bool is_public_v4(uint32_t address) {
  for (const V4Network& n : kNotPublicV4) {
    if ((address ^ n.address) >> (32 - n.bits) == 0) return false;
  }
  return true;
}

using V6 = std::array<uint8_t, 16>;
struct V6Network {
  V6 address;
  int bits;
};
// Within 2000::/3, outside of which nothing is public: so ::1, ::ffff:0:0/96, 64:ff9b::/96, fc00::/7 and fe80::/10 never are.
constexpr V6Network kNotPublicV6[] = {
    {{0x20, 0x01, 0x00, 0x00}, 23},              // protocol assignments, Teredo among them
    {{0x20, 0x01, 0x0d, 0xb8}, 32},              // documentation
    {{0x20, 0x02}, 16},                          // 6to4: an IPv4 address in disguise
    {{0x3f, 0xff}, 20},                          // documentation
};

bool within(const V6& address, const V6Network& n) {
  for (int bit = 0; bit < n.bits; ++bit) {
    auto byte = static_cast<size_t>(bit / 8);
    if (((address[byte] ^ n.address[byte]) >> (7 - bit % 8) & 1) != 0) return false;
  }
  return true;
}

bool is_public_v6(const V6& address) {
  if (address[0] >> 5 != 1) return false;
  for (const V6Network& n : kNotPublicV6) {
    if (within(address, n)) return false;
  }
  return true;
}

}  // namespace

bool is_public(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, address, sizeof in);
    return is_public_v4(ntohl(in.sin_addr.s_addr));
  }
  if (address->sa_family == AF_INET6) {
    sockaddr_in6 in6{};
    std::memcpy(&in6, address, sizeof in6);
    V6 bytes;
    std::memcpy(bytes.data(), &in6.sin6_addr, bytes.size());
    return is_public_v6(bytes);
  }
  return false;
}

bool is_public(const std::string& address) {
  in_addr v4_address{};
  if (inet_pton(AF_INET, address.c_str(), &v4_address) == 1) return is_public_v4(ntohl(v4_address.s_addr));
  V6 bytes;
  return inet_pton(AF_INET6, address.c_str(), bytes.data()) == 1 && is_public_v6(bytes);
}

}  // namespace postern::client
