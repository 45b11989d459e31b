#include "core/admission/address_list.h"

#include <gtest/gtest.h>

namespace postern::admission {
namespace {

bool contains(const std::vector<std::string>& networks, const std::string& address) {
  auto list = AddressList::parse(networks);
  EXPECT_TRUE(list) << list.status().message();
  return list && list->contains(address);
}

struct Case {
  std::vector<std::string> networks;
  const char* address;
  bool contained;
};

const Case kCases[] = {
    {{"192.0.2.1"}, "192.0.2.1", true},
    {{"192.0.2.1"}, "192.0.2.2", false},
    {{"192.0.2.1/32"}, "192.0.2.1", true},
    {{"192.0.2.0/24"}, "192.0.2.255", true},
    {{"192.0.2.0/24"}, "192.0.3.0", false},
    {{"192.0.2.0/23"}, "192.0.3.255", true},
    {{"192.0.2.0/31"}, "192.0.2.1", true},
    {{"192.0.2.0/31"}, "192.0.2.2", false},
    {{"0.0.0.0/0"}, "203.0.113.7", true},
    {{"0.0.0.0/0"}, "2001:db8::1", false},
    {{"::/0"}, "2001:db8::1", true},
    {{"::/0"}, "203.0.113.7", false},
    {{"2001:db8::/32"}, "2001:db8:ffff::1", true},
    {{"2001:db8::/32"}, "2001:db9::1", false},
    {{"2001:db8::/33"}, "2001:db8:8000::1", false},
    {{"2001:db8::1"}, "2001:0DB8:0:0::0:1", true},
    {{"10.0.0.0/8", "2001:db8::/32"}, "2001:db8::7", true},
    {{"10.0.0.0/8", "2001:db8::/32"}, "10.255.0.1", true},
    {{"10.0.0.0/8", "2001:db8::/32"}, "11.0.0.1", false},
    // An IPv4 client on an IPv6 socket is its IPv4 address, whichever way it is spelt, and nothing else.
    {{"10.0.0.0/8"}, "::ffff:10.1.2.3", true},
    {{"10.0.0.0/8"}, "::ffff:0a01:0203", true},
    {{"10.0.0.0/8"}, "::FFFF:10.1.2.3", true},
    {{"10.0.0.0/8"}, "::ffff:11.1.2.3", false},
    {{"10.0.0.0/8"}, "::10.1.2.3", false},
    {{"0.0.0.0/8"}, "::ffff:0.129.2.1", true},
    {{"0.0.0.0/8"}, "::ffff:1.129.2.1", false},
    {{"::/0"}, "::ffff:10.1.2.3", false},
    {{"::ffff:10.0.0.0/104"}, "10.1.2.3", true},
    {{"::ffff:10.0.0.0/104"}, "::ffff:10.1.2.3", true},
    {{"::ffff:10.0.0.0/104"}, "11.1.2.3", false},
    {{"::ffff:127.0.0.1"}, "127.0.0.1", true},
    {{"::ffff:127.0.0.1"}, "127.0.0.2", false},
    {{"::ffff:0:0/96"}, "192.0.2.1", true},
    // A link-local client comes with its interface.
    {{"fe80::/10"}, "fe80::1%lo", true},
    {{"2001:db8::/32"}, "fe80::1%lo", false},
    {{"10.0.0.0/8"}, "fe80::1%lo", false},
    // What is no address is in no network.
    {{"0.0.0.0/0", "::/0"}, "unix", false},
    {{"0.0.0.0/0", "::/0"}, "", false},
    {{"0.0.0.0/0", "::/0"}, "localhost", false},
    {{"0.0.0.0/0", "::/0"}, "10.0.0.1, 10.0.0.2", false},
    {{}, "10.0.0.1", false},
};

class Contains : public ::testing::TestWithParam<Case> {};

TEST_P(Contains, OnlyWhatIsInside) {
  EXPECT_EQ(contains(GetParam().networks, GetParam().address), GetParam().contained) << GetParam().address;
}

INSTANTIATE_TEST_SUITE_P(AddressList, Contains, ::testing::ValuesIn(kCases));

TEST(AddressList, RefusesWhatIsNoNetwork) {
  for (const char* text : {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8/8", "10.0.0.0/4294967304", "::1/129",
                           "localhost", "1.2.3.4.5", "unix"}) {
    auto list = AddressList::parse({"10.0.0.0/8", text});
    ASSERT_FALSE(list) << text;
    EXPECT_EQ(list.status().message(), "'" + std::string(text) + "' is not a network");
  }
}

TEST(AddressList, IsEmptyOnlyWithoutNetworks) {
  EXPECT_TRUE(AddressList::parse({})->empty());
  EXPECT_FALSE(AddressList::parse({"10.0.0.0/8"})->empty());
}

}  // namespace
}  // namespace postern::admission
