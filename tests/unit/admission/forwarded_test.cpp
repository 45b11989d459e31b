#include "core/admission/forwarded.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postern::admission {
namespace {

using ::testing::ElementsAre;

AddressList list(const std::vector<std::string>& networks) { return std::move(AddressList::parse(networks).value()); }

TEST(Trusted, ArePeersInTheListAndThoseOfAUnixSocketWhereThereIsOne) {
  AddressList trusted = list({"127.0.0.1/32", "2001:db8::/32"});
  for (const char* peer : {"127.0.0.1", "2001:db8::1", "unix"}) EXPECT_TRUE(is_trusted(peer, trusted)) << peer;
  for (const char* peer : {"127.0.0.2", "2001:db9::1", "", "unknown", "-", "UNIX", "unix:/run/x"})
    EXPECT_FALSE(is_trusted(peer, trusted)) << peer;
}

TEST(Trusted, IsNobodyWithoutAList) {
  for (const char* peer : {"127.0.0.1", "::1", "unix", ""}) EXPECT_FALSE(is_trusted(peer, AddressList())) << peer;
}

std::vector<std::string> elements(const std::string& headers, std::string_view name = "x-list") {
  http::Request request = http::Request::from_parts("POST", "/", headers, "");
  std::vector<std::string> texts;
  for (std::string_view element : list_elements(request, name)) texts.emplace_back(element);
  return texts;
}

TEST(ListElements, AreThoseOfAllHeadersInOrder) {
  EXPECT_THAT(elements(""), ElementsAre());
  EXPECT_THAT(elements("X-Other: a\r\n"), ElementsAre());
  EXPECT_THAT(elements("X-List: a\r\n"), ElementsAre("a"));
  EXPECT_THAT(elements("X-List: a, b ,\tc\r\nX-Other: z\r\nx-LIST: d,e\r\n"), ElementsAre("a", "b", "c", "d", "e"));
}

TEST(ListElements, KeepWhatIsEmpty) {
  EXPECT_THAT(elements("X-List: \r\n"), ElementsAre(""));
  EXPECT_THAT(elements("X-List: ,a,\r\n"), ElementsAre("", "a", ""));
}

// Attack: a header of nothing but commas. The caller sees that there are too many, and no more than that is kept.
TEST(ListElements, AreBounded) {
  EXPECT_EQ(elements("X-List: " + std::string(kMaxHops - 1, ',') + "\r\n").size(), kMaxHops);
  EXPECT_EQ(elements("X-List: " + std::string(60'000, ',') + "\r\n").size(), kMaxHops + 1);
  std::string headers;
  for (int i = 0; i < 100; ++i) headers += "X-List: a\r\n";
  EXPECT_EQ(elements(headers).size(), kMaxHops + 1);
}

struct Parameter {
  const char* element;
  const char* name;
  std::optional<std::string_view> value;
};

const Parameter kParameters[] = {
    {"proto=https", "proto", "https"},
    {"for=192.0.2.1;proto=https;by=203.0.113.43", "proto", "https"},
    {"For=192.0.2.1; Proto=https ;host=a.test", "proto", "https"},
    {"PROTO=https", "proto", "https"},
    {"for=\"[2001:db8::1]:4711\"", "for", "[2001:db8::1]:4711"},
    {"host=\"a.test:8443\";proto=http", "host", "a.test:8443"},
    {"host=\"\"", "host", ""},
    {"host=", "host", ""},
    {"host=\"", "host", "\""},
    {"host=\"a", "host", "\"a"},
    {"host=a\"", "host", "a\""},
    {"proto=a=b", "proto", "a=b"},
    {"proto=first;proto=second", "proto", "first"},
    {";;proto=https;", "proto", "https"},
    {"", "proto", std::nullopt},
    {"https", "proto", std::nullopt},
    {"proto", "proto", std::nullopt},
    {"xproto=https", "proto", std::nullopt},
    {"protox=https", "proto", std::nullopt},
    {"for=\"proto=https\"", "proto", std::nullopt},
    {"=https", "proto", std::nullopt},
};

TEST(ForwardedParameter, IsFoundByItsName) {
  for (const Parameter& p : kParameters) EXPECT_EQ(forwarded_parameter(p.element, p.name), p.value) << p.element;
}

}  // namespace
}  // namespace postern::admission
