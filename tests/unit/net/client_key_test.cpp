// As what a client is counted: who has many addresses is not many clients.
#include "core/net/client_key.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace postern::net {
namespace {

TEST(ClientKey, OfIpv4IsTheAddress) {
  EXPECT_EQ(client_key("192.0.2.1"), client_key("192.0.2.1"));
  EXPECT_NE(client_key("192.0.2.1"), client_key("192.0.2.2"));
  EXPECT_NE(client_key("0.0.0.0"), client_key("::"));
}

TEST(ClientKey, OfMappedIpv4IsThatOfIpv4) {
  EXPECT_EQ(client_key("::ffff:192.0.2.1"), client_key("192.0.2.1"));
  EXPECT_EQ(client_key("::ffff:c000:201"), client_key("192.0.2.1"));
  EXPECT_NE(client_key("::fffe:192.0.2.1"), client_key("192.0.2.1"));
}

TEST(ClientKey, OfIpv6IsTheNetwork) {
  EXPECT_EQ(client_key("2001:db8:1:2::1"), client_key("2001:db8:1:2:ffff:ffff:ffff:ffff"));
  EXPECT_NE(client_key("2001:db8:1:2::1"), client_key("2001:db8:1:3::1"));
  EXPECT_EQ(client_key("fe80::1%eth0"), client_key("fe80::2%eth1"));
}

TEST(ClientKey, OfWhatIsNoAddressIsOne) {
  EXPECT_EQ(client_key("unix"), client_key("unknown"));
  EXPECT_EQ(client_key(""), client_key(std::string(1000, '1')));
  for (const char* address : {"0.0.0.0", "0.0.0.1", "255.255.255.255", "::", "::1", "2001:db8::1"}) {
    EXPECT_NE(client_key(address), client_key("unknown")) << address;
  }
}

// Who chose addresses for one table would have to choose others for the next.
TEST(KeyedHash, IsAnotherOneEachTime) {
  KeyedHash first, second;
  std::set<uint64_t> low;
  int same = 0;
  for (int i = 0; i < 256; ++i) {
    ClientKey key = client_key("2001:db8:0:" + std::to_string(i) + "::1");
    EXPECT_EQ(first(key), first(key));
    same += first(key) % 64 == second(key) % 64;
    low.insert(first(key) % 64);
  }
  EXPECT_LT(same, 32) << "about 4 are expected by chance";
  EXPECT_GT(low.size(), 48u) << "about 63 are expected";
}

}  // namespace
}  // namespace postern::net
