// Mailboxes: what is one, and what must never get near a header or a socket.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "smtp/address.h"
#include "smtp/refused.h"

namespace smtp {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::string refusal(std::string_view text) {
  try {
    parse_mailbox("to[0]", text);
  } catch (const Refused& refused) {
    return refused.what();
  }
  return "accepted";
}

TEST(SmtpAddress, NamesAndAddresses) {
  const struct {
    const char *text, *name, *address;
  } cases[] = {
      {"ann@example.com", "", "ann@example.com"},
      {"  <ann@example.com> ", "", "ann@example.com"},
      {"Ann <ann@example.com>", "Ann", "ann@example.com"},
      {"Doe, Ann <ann@example.com>", "Doe, Ann", "ann@example.com"},
      {"\"Ann \\\"A\\\" <Doe>\" <ann@example.com>", "Ann \"A\" <Doe>", "ann@example.com"},
      {"Jörg Müller <j@bücher.example>", "Jörg Müller", "j@xn--bcher-kva.example"},
      {"Ann@EXAMPLE.com", "", "Ann@example.com"},
      {"a.b+c_d=e@x-y.example", "", "a.b+c_d=e@x-y.example"},
      {"\"a b\"@example.com", "", "\"a b\"@example.com"},
      {"root@localhost", "", "root@localhost"},
      {"ann@[192.0.2.1]", "", "ann@[192.0.2.1]"},
      {"ann@[IPv6:2001:db8::1]", "", "ann@[IPv6:2001:db8::1]"},
  };
  for (const auto& one : cases) {
    const Mailbox mailbox = parse_mailbox("to", one.text);
    EXPECT_EQ(mailbox.name, one.name) << one.text;
    EXPECT_EQ(mailbox.address, one.address) << one.text;
    EXPECT_FALSE(mailbox.needs_smtputf8) << one.text;
  }
}

TEST(SmtpAddress, ALocalPartBeyondAsciiNeedsSmtpUtf8) {
  const Mailbox mailbox = parse_mailbox("to", "用户@例え.example");
  EXPECT_TRUE(mailbox.needs_smtputf8);
  EXPECT_EQ(mailbox.address, "用户@xn--r8jz45g.example");
}

TEST(SmtpAddress, LineBreaksAndNulAreRefusedWhereverTheyStand) {
  for (const std::string& text : {std::string("a@b.example\r\nRCPT TO:<c@d>"), std::string("Ann\nBcc: x@y <a@b.example>"), std::string("a\r@b.example"),
                                  std::string("a@b.example\n")}) {
    EXPECT_EQ(refusal(text), "to[0]: a line break is not allowed");
  }
  EXPECT_EQ(refusal(std::string("a\0@b.example", 12)), "to[0]: a NUL byte is not allowed");
  EXPECT_EQ(refusal("a\x1b[0m@b.example"), "to[0]: a control character is not allowed");
  EXPECT_EQ(refusal("a\xff@b.example"), "to[0]: it is not UTF-8");
}

TEST(SmtpAddress, WhatIsNoAddressIsRefusedWithItsReasonAlone) {
  const std::string longest = std::string(64, 'a') + "@" + std::string(63, 'b') + "." + std::string(63, 'c') + "." + std::string(57, 'd') + ".ex";
  ASSERT_EQ(longest.size(), 253u);
  EXPECT_EQ(refusal(longest), "accepted");
  EXPECT_EQ(refusal(longest + "ab"), "to[0]: the address has more than 254 bytes");
  EXPECT_EQ(refusal(std::string(65, 'a') + "@b.example"), "to[0]: more than 64 bytes stand before the '@'");
  for (const char* text : {"", "ann", "@example.com", "ann@", "a b@example.com", "<ann@example.com", "ann@example.com>x", "a <b@c.example> <d@e.example>",
                           ".a@b.example", "a..b@c.example", "a.@b.example", "a@b..example", "a@-b.example", "a@b.example.", "a@[300.1.1.1]", "a@b c",
                           "a@b@c.example", "\"a@b.example", "Ann \"x <a@b.example>", "a<b>@c.example", "a@<b>"}) {
    const std::string why = refusal(text);
    EXPECT_THAT(why, HasSubstr("to[0]: ")) << text;
    if (std::string_view(text).size() > 3) {
      EXPECT_THAT(why, Not(HasSubstr(text)));
    }
  }
}

TEST(SmtpAddress, EachAddressOnce) {
  const std::vector<Mailbox> all = {parse_mailbox("to", "A <a@b.example>"), parse_mailbox("to", "a@B.example"), parse_mailbox("to", "A@b.example"),
                                    parse_mailbox("to", "c@b.example")};
  EXPECT_THAT(unique_addresses(all), ElementsAre("a@b.example", "A@b.example", "c@b.example"));
}

}  // namespace
}  // namespace smtp
