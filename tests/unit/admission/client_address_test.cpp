#include "core/admission/client_address.h"

#include <gtest/gtest.h>

namespace postern::admission {
namespace {

struct Case {
  const char* what;
  std::string peer;
  std::string headers;
  std::string client;
};

AddressList trusted() { return std::move(AddressList::parse({"127.0.0.1/32", "10.0.0.0/8", "2001:db8:1::/48"}).value()); }

std::string client_of(const Case& c, const AddressList& list) {
  return client_address(http::Request::from_parts("POST", "/", c.headers, ""), c.peer, list);
}

const Case kCases[] = {
    {"no header", "127.0.0.1", "", "127.0.0.1"},
    {"from nobody trusted", "198.51.100.7", "X-Forwarded-For: 192.0.2.1\r\n", "198.51.100.7"},
    {"one hop", "127.0.0.1", "X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1"},
    {"what the client wrote stays left", "127.0.0.1", "X-Forwarded-For: 10.9.9.9, 203.0.113.5, 192.0.2.1\r\n", "192.0.2.1"},
    {"a chain of trusted ones", "127.0.0.1", "X-Forwarded-For: 192.0.2.1, 10.0.0.2, 10.0.0.3\r\n", "192.0.2.1"},
    {"over two headers", "127.0.0.1", "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 10.0.0.2\r\n", "192.0.2.1"},
    {"all trusted", "127.0.0.1", "X-Forwarded-For: 10.0.0.1, 10.0.0.2\r\n", "10.0.0.1"},
    {"with a port", "127.0.0.1", "X-Forwarded-For: 192.0.2.1:4711\r\n", "192.0.2.1"},
    {"IPv6", "127.0.0.1", "X-Forwarded-For: 2001:db8:2::1\r\n", "2001:db8:2::1"},
    {"IPv6 with a port", "127.0.0.1", "X-Forwarded-For: [2001:db8:2::1]:80\r\n", "2001:db8:2::1"},
    {"an IPv6 proxy", "2001:db8:1::9", "X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1"},
    {"not an address", "127.0.0.1", "X-Forwarded-For: localhost\r\n", "unknown"},
    {"empty", "127.0.0.1", "X-Forwarded-For: \r\n", "unknown"},
    {"an open bracket", "127.0.0.1", "X-Forwarded-For: [2001:db8:2::1\r\n", "2001:db8:2::1"},
    {"rubbish left of the client", "127.0.0.1", "X-Forwarded-For: x y, 192.0.2.1\r\n", "192.0.2.1"},
    {"unix socket", "unix", "X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1"},
    {"Forwarded", "127.0.0.1", "Forwarded: for=192.0.2.1;proto=https\r\n", "192.0.2.1"},
    {"Forwarded, quoted", "127.0.0.1", "Forwarded: proto=https; FOR=\"[2001:db8:2::1]:4711\"\r\n", "2001:db8:2::1"},
    {"Forwarded, chain", "127.0.0.1", "Forwarded: for=9.9.9.9, for=192.0.2.1, for=10.0.0.1\r\n", "192.0.2.1"},
    {"Forwarded, obfuscated", "127.0.0.1", "Forwarded: for=_hidden\r\n", "unknown"},
    {"both, agreeing", "127.0.0.1", "Forwarded: for=192.0.2.1\r\nX-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1"},
    {"both, one made up", "127.0.0.1", "Forwarded: for=203.0.113.5\r\nX-Forwarded-For: 192.0.2.1\r\n", "unknown"},
};

TEST(ClientAddress, IsBelievedAsFarAsTheHopsAreTrusted) {
  AddressList list = trusted();
  for (const Case& c : kCases) EXPECT_EQ(client_of(c, list), c.client) << c.what;
}

TEST(ClientAddress, WithoutTrustedProxiesIsThePeer) {
  for (const Case& c : kCases) EXPECT_EQ(client_of(c, AddressList()), c.peer) << c.what;
}

TEST(ClientAddress, TooManyHopsAreUnknown) {
  std::string value = "192.0.2.1";
  for (int i = 0; i < 40; ++i) value += ", 10.0.0.1";
  EXPECT_EQ(client_of({"", "127.0.0.1", "X-Forwarded-For: " + value + "\r\n", ""}, trusted()), "unknown");
}

}  // namespace
}  // namespace postern::admission
