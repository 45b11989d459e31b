// What DescribedScheme::verify() accepts and refuses, and why.
#include <gtest/gtest.h>

#include <cctype>
#include <limits>

#include "tests/unit/signature/scheme_support.h"

namespace postern::signature {
namespace {

using testing::Headers;
using testing::kNow;
using testing::request;
using testing::scheme;

const std::string kBody = R"({"type":"message.received"})";

std::string& value_of(Headers& headers, std::string_view name) {
  for (auto& [key, value] : headers) {
    if (key == name) return value;
  }
  throw std::runtime_error("no such header");
}

Headers with(Headers headers, std::string_view name, std::string value) {
  value_of(headers, name) = std::move(value);
  return headers;
}

Headers without(Headers headers, std::string_view name) {
  std::erase_if(headers, [&](const auto& entry) { return entry.first == name; });
  return headers;
}

TEST(SignatureVerify, HeadersAreThereOnce) {
  const DescribedScheme s = scheme(testing::listed());
  const Headers good = s.sign("msg_1", kBody, kNow);
  ASSERT_EQ(good.size(), 3u);
  EXPECT_EQ(s.verify(request(good, kBody), kNow), Verdict::kAccepted);
  EXPECT_EQ(s.verify(request({}, kBody), kNow), Verdict::kMissing);
  for (const auto& [name, value] : good) {
    EXPECT_EQ(s.verify(request(without(good, name), kBody), kNow), Verdict::kMissing) << name;
    EXPECT_EQ(s.verify(request(with(good, name, ""), kBody), kNow), Verdict::kMalformed) << name;
    Headers doubled = good;
    std::string upper = name;
    upper[0] = 'X';
    doubled.emplace_back(upper, value);
    EXPECT_EQ(s.verify(request(doubled, kBody), kNow), Verdict::kDoubled) << name;
  }
}

TEST(SignatureVerify, AppliesByItsSignatureHeaderAlone) {
  const DescribedScheme s = scheme(testing::listed());
  EXPECT_TRUE(s.applies_to(request({{"X-SIGNATURE", ""}}, kBody)));
  EXPECT_FALSE(s.applies_to(request({{"x-timestamp", "1"}, {"x-id", "1"}}, kBody)));
}

TEST(SignatureVerify, EveryAlteredByteIsRefused) {
  for (const auto& description : {testing::listed(), testing::keyed(), testing::complete(), testing::plain()}) {
    const DescribedScheme s = scheme(description);
    const Headers good = s.sign("msg_1", kBody, kNow);
    ASSERT_EQ(s.verify(request(good, kBody), kNow), Verdict::kAccepted) << description.name;
    for (size_t i = 0; i < kBody.size(); ++i) {
      for (int bit = 0; bit < 8; ++bit) {
        std::string body = kBody;
        body[i] = static_cast<char>(body[i] ^ (1 << bit));
        EXPECT_EQ(s.verify(request(good, body), kNow), Verdict::kWrong) << description.name << " body " << i;
      }
    }
    EXPECT_EQ(s.verify(request(good, kBody + " "), kNow), Verdict::kWrong);
    EXPECT_EQ(s.verify(request(good, kBody.substr(1)), kNow), Verdict::kWrong);
    for (size_t h = 0; h < good.size(); ++h) {
      for (size_t i = 0; i < good[h].second.size(); ++i) {
        Headers bad = good;
        char& c = bad[h].second[i];
        c = c == '1' ? '2' : '1';
        EXPECT_NE(s.verify(request(bad, kBody), kNow), Verdict::kAccepted) << description.name << ' ' << bad[h].second;
        bad[h].second.erase(i, 1);
        EXPECT_NE(s.verify(request(bad, kBody), kNow), Verdict::kAccepted) << description.name << ' ' << bad[h].second;
      }
    }
  }
}

TEST(SignatureVerify, ToleranceIsInclusiveBothWays) {
  const DescribedScheme seconds = scheme(testing::listed());
  const Headers s_headers = seconds.sign("a", kBody, kNow);
  const auto s_request = request(s_headers, kBody);
  EXPECT_EQ(seconds.verify(s_request, kNow + 300'000), Verdict::kAccepted);
  EXPECT_EQ(seconds.verify(s_request, kNow + 300'001), Verdict::kStale);
  EXPECT_EQ(seconds.verify(s_request, kNow - 300'000), Verdict::kAccepted);
  EXPECT_EQ(seconds.verify(s_request, kNow - 300'001), Verdict::kStale);

  auto d = testing::complete();
  d.tolerance_s = 1;
  const DescribedScheme milliseconds = scheme(d);
  const auto ms_request = request(milliseconds.sign("a", kBody, kNow + 7), kBody);
  EXPECT_EQ(milliseconds.verify(ms_request, kNow + 1007), Verdict::kAccepted);
  EXPECT_EQ(milliseconds.verify(ms_request, kNow + 1008), Verdict::kStale);
  EXPECT_EQ(milliseconds.verify(ms_request, kNow - 993), Verdict::kAccepted);
  EXPECT_EQ(milliseconds.verify(ms_request, kNow - 994), Verdict::kStale);
}

TEST(SignatureVerify, ClocksAtTheEdgeOfTheWorld) {
  const DescribedScheme s = scheme(testing::listed());
  const Headers far = with(s.sign("a", kBody, kNow), "x-timestamp", "999999999999999");
  for (const int64_t now :
       {std::numeric_limits<int64_t>::min(), int64_t{-1}, int64_t{0}, std::numeric_limits<int64_t>::max()}) {
    EXPECT_EQ(s.verify(request(far, kBody), now), Verdict::kStale) << now;
  }
  // Before 1970 there is no timestamp; signing stays at its beginning.
  Headers early = s.sign("a", kBody, -5000);
  EXPECT_EQ(value_of(early, "x-timestamp"), "0");
}

TEST(SignatureVerify, TimestampsAreDigits) {
  const DescribedScheme s = scheme(testing::listed());
  const Headers good = s.sign("a", kBody, kNow);
  for (const char* bad : {"+1700000000", "-1700000000", "1700000000.0", "0x6553f100", "1.7e9", "17000 00000",
                          "1000000000000000", "2023-11-14T22:13:20Z", "\xd9\xa1"}) {
    EXPECT_EQ(s.verify(request(with(good, "x-timestamp", bad), kBody), kNow), Verdict::kMalformed) << bad;
  }
  // What is signed is the text: the same second written otherwise is another message.
  EXPECT_EQ(s.verify(request(with(good, "x-timestamp", "01700000000"), kBody), kNow), Verdict::kWrong);
}

// The window comes before the MAC, what is malformed before the window.
TEST(SignatureVerify, OrderOfChecks) {
  const DescribedScheme s = scheme(testing::listed());
  const Headers stale = s.sign("a", kBody, kNow - 400'000);
  EXPECT_EQ(s.verify(request(stale, kBody), kNow), Verdict::kStale);
  EXPECT_EQ(s.verify(request(stale, kBody + "x"), kNow), Verdict::kStale);
  EXPECT_EQ(s.verify(request(with(stale, "x-signature", "v1,short"), kBody), kNow), Verdict::kMalformed);
  Headers doubled = with(stale, "x-signature", "v1,short");
  doubled.emplace_back("x-id", "b");
  EXPECT_EQ(s.verify(request(doubled, kBody), kNow), Verdict::kDoubled);
}

// Standard Webhooks 1.0.0: with a '.' in the id the signed bytes could be cut in another way.
TEST(SignatureVerify, AnIdCannotShiftItsBorder) {
  const DescribedScheme s = scheme(testing::listed());
  const std::string body = R"({"text":"1.1700000000.forged"})";
  Headers headers = s.sign("msg", body, kNow);
  value_of(headers, "x-id") = R"(msg.1700000000.{"text":"1)";
  EXPECT_EQ(s.verify(request(headers, R"(forged"})"), kNow), Verdict::kMalformed);
}

TEST(SignatureVerify, AnySecretVerifiesTheFirstSigns) {
  auto old_only = testing::listed(), fresh_first = testing::listed(), fresh_only = testing::listed();
  old_only.secrets = {"old"};
  fresh_first.secrets = {"fresh", "middle", "old"};
  fresh_only.secrets = {"fresh"};
  const DescribedScheme before = scheme(old_only), during = scheme(fresh_first), after = scheme(fresh_only);
  const auto by_old = request(before.sign("a", kBody, kNow), kBody);
  const auto by_new = request(during.sign("a", kBody, kNow), kBody);
  EXPECT_EQ(during.verify(by_old, kNow), Verdict::kAccepted);
  EXPECT_EQ(during.verify(by_new, kNow), Verdict::kAccepted);
  EXPECT_EQ(after.verify(by_new, kNow), Verdict::kAccepted);
  EXPECT_EQ(after.verify(by_old, kNow), Verdict::kWrong);
  EXPECT_EQ(before.verify(by_new, kNow), Verdict::kWrong);
}

TEST(SignatureVerify, ListsAreBounded) {
  const DescribedScheme s = scheme(testing::listed());
  const Headers good = s.sign("a", kBody, kNow);
  const std::string value = good[2].second;
  std::string padding;
  for (int i = 0; i < 15; ++i) padding += "v9,x ";
  EXPECT_EQ(s.verify(request(with(good, "x-signature", padding + value), kBody), kNow), Verdict::kAccepted);
  EXPECT_EQ(s.verify(request(with(good, "x-signature", "v9,x " + padding + value), kBody), kNow), Verdict::kMalformed);
  EXPECT_EQ(s.verify(request(with(good, "x-signature", value + "  " + value), kBody), kNow), Verdict::kAccepted);
  EXPECT_EQ(s.verify(request(with(good, "x-signature", "v2,AAAA v3,BBBB"), kBody), kNow), Verdict::kMalformed);
}

TEST(SignatureVerify, CompleteEntriesKeepTheirOwnTimestamps) {
  const DescribedScheme s = scheme(testing::complete());
  const auto entry = [&](int64_t at) { return s.sign("", kBody, at)[0].second; };
  const auto verdict = [&](const std::string& value) {
    return s.verify(request({{"x-signature", value}}, kBody), kNow);
  };
  const std::string fresh = entry(kNow), stale = entry(kNow - 900'000);
  EXPECT_EQ(verdict(stale + ", " + fresh), Verdict::kAccepted);
  EXPECT_EQ(verdict(fresh + "," + stale), Verdict::kAccepted);
  EXPECT_EQ(verdict(stale), Verdict::kStale);
  // The fresh timestamp of one entry does not revive the signature of the other.
  const std::string forged = entry(kNow).substr(0, 21) + stale.substr(21);
  ASSERT_EQ(forged.substr(0, 21), "hmac;1;1700000000000;");
  EXPECT_EQ(verdict(forged), Verdict::kWrong);
  EXPECT_EQ(verdict(forged + "," + stale), Verdict::kWrong);
  // Nor does the MAC of one entry's timestamp vouch for the signature of another.
  const std::string later = entry(kNow + 1000);
  EXPECT_EQ(verdict(fresh.substr(0, 21) + later.substr(21) + "," + later.substr(0, 21) + fresh.substr(21)),
            Verdict::kWrong);
  // Four timestamps, not more: each costs a MAC over the body.
  const std::string four = entry(kNow + 1) + "," + entry(kNow + 2) + "," + entry(kNow + 3) + "," + entry(kNow + 3);
  EXPECT_EQ(verdict(four + "," + fresh), Verdict::kAccepted);
  EXPECT_EQ(verdict(four + "," + entry(kNow + 4) + "," + fresh), Verdict::kMalformed);
}

TEST(SignatureVerify, KeyedListsHaveOneTimestamp) {
  const DescribedScheme s = scheme(testing::keyed());
  const std::string good = s.sign("", kBody, kNow)[0].second;
  ASSERT_EQ(good.substr(0, 15), "t=1700000000,v1");
  const std::string signature = good.substr(13);
  const auto verdict = [&](const std::string& value) {
    return s.verify(request({{"x-signature", value}}, kBody), kNow);
  };
  EXPECT_EQ(verdict(signature + ",t=1700000000"), Verdict::kAccepted);
  EXPECT_EQ(verdict("unknown,x=y, " + good + " ,v0=1"), Verdict::kAccepted);
  EXPECT_EQ(verdict("v1=" + std::string(64, '0') + "," + good), Verdict::kAccepted);
  EXPECT_EQ(verdict("t=1700000001," + good), Verdict::kMalformed);
  EXPECT_EQ(verdict("t=1600000000," + signature), Verdict::kStale);
  EXPECT_EQ(verdict("t=," + signature), Verdict::kMalformed);
  EXPECT_EQ(verdict("t=1700000000"), Verdict::kMalformed);
}

TEST(SignatureVerify, HexOfBothCases) {
  const DescribedScheme s = scheme(testing::plain());
  std::string value = s.sign("", kBody, kNow)[0].second;
  for (size_t i = 7; i < value.size(); ++i) value[i] = static_cast<char>(std::toupper(value[i]));
  EXPECT_EQ(s.verify(request({{"x-signature", value}}, kBody), kNow), Verdict::kAccepted);
  EXPECT_EQ(s.verify(request({{"x-signature", "SHA256" + value.substr(6)}}, kBody), kNow), Verdict::kMalformed);
  EXPECT_EQ(s.verify(request({{"x-signature", value + "00"}}, kBody), kNow), Verdict::kMalformed);
}

TEST(SignatureVerify, AlternativesWithoutAList) {
  auto d = testing::plain();
  d.format = "sha256={signature}|v1={signature}";
  const DescribedScheme s = scheme(d);
  const std::string value = s.sign("", kBody, kNow)[0].second;
  EXPECT_EQ(s.verify(request({{"x-signature", value}}, kBody), kNow), Verdict::kAccepted);
  EXPECT_EQ(s.verify(request({{"x-signature", "v1=" + value.substr(7)}}, kBody), kNow), Verdict::kAccepted);
  EXPECT_EQ(s.verify(request({{"x-signature", "v2=" + value.substr(7)}}, kBody), kNow), Verdict::kMalformed);
}

TEST(SignatureVerify, BodiesAreBytes) {
  const DescribedScheme s = scheme(testing::listed());
  for (const std::string& body : {std::string(), std::string("\0\xff\r\n", 4), std::string(1 << 20, 'x')}) {
    EXPECT_EQ(s.verify(request(s.sign("a", body, kNow), body), kNow), Verdict::kAccepted);
  }
}

}  // namespace
}  // namespace postern::signature
