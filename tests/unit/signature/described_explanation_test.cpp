// What `postern verify` says of a described scheme: enough to find the fault, and nothing that would sign a request.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "core/base/digest.h"
#include "tests/unit/signature/scheme_support.h"

namespace postern::signature {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::Headers;
using testing::kNow;
using ::testing::Not;
using testing::request;
using testing::scheme;

const std::string kBody = R"({"type":"message.received"})";
const std::string kSecret = "one secret";

struct Explained {
  Verdict verdict;
  std::vector<std::string> lines;
};

Explained explained(const Scheme& s, const http::Request& r, int64_t now_ms = kNow) {
  Explanation explanation;
  Verdict verdict = s.verify({r, now_ms, {}, "192.0.2.1"}, &explanation);
  return {verdict, explanation.lines()};
}

std::string hmac_sha256(const std::string& key, const std::string& text) {
  unsigned char mac[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(text.data()), text.size(),
       mac, &size);
  return std::string(reinterpret_cast<const char*>(mac), size);
}

std::string hex(const std::string& bytes) {
  std::string text;
  for (unsigned char c : bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    text += {kDigits[c >> 4], kDigits[c & 15]};
  }
  return text;
}

std::string base64(const std::string& bytes) {
  std::string text(4 * ((bytes.size() + 2) / 3), '\0');
  EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), reinterpret_cast<const unsigned char*>(bytes.data()),
                  static_cast<int>(bytes.size()));
  return text;
}

std::string lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

TEST(DescribedExplanation, OfWhatIsAccepted) {
  const DescribedScheme s = scheme(testing::keyed());
  Explained e = explained(s, request(s.sign("", kBody, kNow - 1'500), kBody));
  EXPECT_EQ(e.verdict, Verdict::kAccepted);
  // printf '1699999998.{"type":"message.received"}' | sha256sum
  EXPECT_THAT(
      e.lines,
      ElementsAre(
          "header x-signature: there", "timestamp 1699999998 is 2023-11-14T22:13:18Z, 2.000 s ago; 300 s are tolerated",
          "signed: \"{timestamp}.{body}\", 38 bytes, SHA-256 82dc72e09c6300861b615f9b175ac981524eb30785872601e6564a5a95321aad",
          "body: 27 bytes, SHA-256 " + sha256_hex(kBody), "1 signature in the header, 1 secret tried: one matches"));
}

TEST(DescribedExplanation, OfAMissingOrDoubledHeader) {
  const DescribedScheme s = scheme(testing::listed());
  Headers good = s.sign("msg_1", kBody, kNow);
  EXPECT_THAT(explained(s, request({}, kBody)).lines,
              ElementsAre("header x-signature: missing", "header x-timestamp: missing", "header x-id: missing"));
  Headers doubled = good;
  doubled.emplace_back("X-Timestamp", "1700000000");
  Explained e = explained(s, request(doubled, kBody));
  EXPECT_EQ(e.verdict, Verdict::kDoubled);
  EXPECT_THAT(e.lines, ElementsAre("header x-signature: there", "header x-timestamp: there more than once: refused",
                                   "header x-id: there"));
}

TEST(DescribedExplanation, OfAHeaderThatDoesNotRead) {
  const DescribedScheme listed = scheme(testing::listed()), plain = scheme(testing::plain());
  Explained e = explained(plain, request({{"x-signature", "sha1=00"}}, kBody));
  EXPECT_EQ(e.verdict, Verdict::kMalformed);
  EXPECT_THAT(e.lines, ElementsAre("header x-signature: there", "x-signature does not read as \"sha256={signature}\""));
  e = explained(listed, request({{"x-signature", "v1"}, {"x-timestamp", "now"}, {"x-id", "a"}}, kBody));
  EXPECT_EQ(e.verdict, Verdict::kMalformed);
  EXPECT_THAT(e.lines, Contains("x-signature does not read as \"v1,{signature}\", in a list divided by \" \""));
  EXPECT_THAT(e.lines, Contains("or x-timestamp is not a number of 1 to 15 digits"));
  EXPECT_THAT(e.lines, Contains("or x-id is empty or holds what divides the signed parts"));
}

TEST(DescribedExplanation, OfAClockThatIsWrong) {
  const DescribedScheme s = scheme(testing::complete());  // milliseconds
  Explained e = explained(s, request(s.sign("", kBody, kNow - 301'007), kBody));
  EXPECT_EQ(e.verdict, Verdict::kStale);
  EXPECT_THAT(e.lines, Contains("timestamp 1699999698993 is 2023-11-14T22:08:18Z, 301.007 s ago; 300 s are tolerated"));
  EXPECT_THAT(e.lines, Not(Contains(HasSubstr("secret")))) << "nobody looked whether one matches";
  e = explained(s, request(s.sign("", kBody, kNow + 300'001), kBody));
  EXPECT_EQ(e.verdict, Verdict::kStale);
  EXPECT_THAT(e.lines, Contains(HasSubstr("300.001 s in the future; 300 s are tolerated")));
}

// Whoever reads it wants to know whether the clock is all that is wrong.
TEST(DescribedExplanation, OfAStaleRequestTellsWhetherItIsGenuine) {
  for (const auto& description : {testing::listed(), testing::keyed(), testing::complete()}) {
    const DescribedScheme s = scheme(description);
    const Headers stale = s.sign("a", kBody, kNow - 900'000);
    Explained genuine = explained(s, request(stale, kBody)), forged = explained(s, request(stale, kBody + "x"));
    EXPECT_EQ(genuine.verdict, Verdict::kStale);
    EXPECT_EQ(forged.verdict, Verdict::kStale);
    EXPECT_THAT(genuine.lines.back(), HasSubstr("the signature itself is right: only its time is not")) << description.name;
    EXPECT_EQ(forged.lines.back(), "the signature is not right either") << description.name;
  }
}

// Whatever a sender writes as a timestamp is told without arithmetic that overflows.
TEST(DescribedExplanation, OfClocksAtTheEdgeOfTheWorld) {
  const DescribedScheme s = scheme(testing::listed());
  Headers far = s.sign("a", kBody, kNow);
  for (const char* timestamp : {"0", "999999999999999", "000000000000001"}) {
    for (auto& [name, value] : far) {
      if (name == "x-timestamp") value = timestamp;
    }
    Explained e = explained(s, request(far, kBody));
    EXPECT_EQ(e.verdict, Verdict::kStale);
    EXPECT_THAT(e.lines, Contains(HasSubstr(std::string("timestamp ") + timestamp + " is "))) << timestamp;
  }
}

TEST(DescribedExplanation, OfAWrongSignature) {
  auto d = testing::listed();
  d.secrets = {kSecret, "another secret"};
  const DescribedScheme s = scheme(d);
  Headers headers = s.sign("msg_1", kBody, kNow);
  headers.back().second += " v1," + base64(std::string(32, 'x'));
  Explained e = explained(s, request(headers, kBody + "\n"));
  EXPECT_EQ(e.verdict, Verdict::kWrong);
  EXPECT_THAT(e.lines, Contains("2 signatures in the header, 2 secrets tried: none matches"));
  EXPECT_THAT(e.lines, Contains("body: 28 bytes, SHA-256 " + sha256_hex(kBody + "\n")));
  EXPECT_THAT(e.lines.back(), HasSubstr("either the secret is not the provider's, or the body is not what the provider sent"));
}

// What is signed, put together by hand.
TEST(DescribedExplanation, TellsTheDigestOfTheSignedBytes) {
  const DescribedScheme s = scheme(testing::listed());
  Explained e = explained(s, request(s.sign("msg_1", kBody, kNow), kBody));
  const std::string by_hand = "msg_1.1700000000." + kBody;
  EXPECT_THAT(e.lines, Contains("signed: \"{id}.{timestamp}.{body}\", " + std::to_string(by_hand.size()) + " bytes, SHA-256 " +
                                sha256_hex(by_hand)));
}

TEST(DescribedExplanation, TellsEachTimestampOnce) {
  const DescribedScheme s = scheme(testing::complete());
  const auto entry = [&](int64_t at) { return s.sign("", kBody, at)[0].second; };
  Explained e = explained(s, request({{"x-signature", entry(kNow) + "," + entry(kNow) + "," + entry(kNow - 900'000)}}, kBody));
  EXPECT_EQ(e.verdict, Verdict::kAccepted);
  EXPECT_EQ(std::count_if(e.lines.begin(), e.lines.end(), [](const auto& line) { return line.starts_with("timestamp "); }), 2);
  EXPECT_EQ(std::count_if(e.lines.begin(), e.lines.end(), [](const auto& line) { return line.starts_with("signed: "); }), 2);
}

// Attack: whoever can run `verify`, or reads its output in a ticket, learns how to sign.
TEST(DescribedExplanation, NeverTellsASecretOrTheRightSignature) {
  for (auto description : {testing::listed(), testing::keyed(), testing::complete(), testing::plain()}) {
    description.secrets = {kSecret, "another secret"};
    const DescribedScheme s = scheme(description);
    const std::string seconds = std::to_string(kNow / 1000), millis = std::to_string(kNow);
    std::vector<std::string> forbidden = {kSecret, "another secret", base64(kSecret), hex(kSecret)};
    for (const std::string& secret : {kSecret, std::string("another secret")}) {
      for (const std::string& text : {"msg_1." + seconds + "." + kBody, seconds + "." + kBody, millis + "." + kBody, kBody}) {
        forbidden.push_back(hex(hmac_sha256(secret, text)));
        forbidden.push_back(base64(hmac_sha256(secret, text)));
      }
    }
    const Headers good = s.sign("msg_1", kBody, kNow);
    ASSERT_EQ(s.verify(request(good, kBody), kNow), Verdict::kAccepted);
    const std::string shown = good.back().second;  // ends in the right signature: the test knows what must not be there
    ASSERT_TRUE(std::any_of(forbidden.begin(), forbidden.end(), [&](const auto& text) { return shown.find(text) != shown.npos; }))
        << shown;
    Headers forged = good, stale = good, broken = good;
    char& c = forged.back().second.back();
    c = c == '=' ? 'A' : c == '0' ? '1' : '0';
    broken.back().second = "nonsense";
    std::vector<Explained> all = {explained(s, request(good, kBody)),   explained(s, request(good, kBody + "x")),
                                  explained(s, request(forged, kBody)), explained(s, request(stale, kBody), kNow + 3'600'000),
                                  explained(s, request(broken, kBody)), explained(s, request({}, kBody))};
    for (const Explained& e : all) {
      for (const std::string& line : e.lines) {
        for (const std::string& text : forbidden) EXPECT_THAT(lower(line), Not(HasSubstr(lower(text)))) << description.name;
      }
    }
  }
}

// ---- with_secrets

TEST(DescribedWithSecrets, IsTheSameOtherwise) {
  for (const auto& description : {testing::listed(), testing::keyed(), testing::complete(), testing::plain()}) {
    const DescribedScheme s = scheme(description);
    auto other = s.with_secrets({"fresh", kSecret});
    ASSERT_TRUE(other.is_ok()) << other.status().message();
    EXPECT_EQ((*other)->name(), s.name());
    EXPECT_EQ((*other)->header(), s.header());
    EXPECT_FALSE((*other)->runs_plugin());
    http::Request by_old = request(s.sign("a", kBody, kNow), kBody);
    EXPECT_EQ(explained(**other, by_old).verdict, Verdict::kAccepted);
    EXPECT_EQ(explained(**s.with_secrets({"fresh"}), by_old).verdict, Verdict::kWrong);
    http::Request draft = request({}, kBody);
    auto signed_by_new = (*other)->sign({draft, "a", kNow, {}});
    ASSERT_TRUE(signed_by_new.is_ok());
    EXPECT_EQ(s.verify(request(*signed_by_new, kBody), kNow), Verdict::kWrong) << "the first of the new ones signs";
    EXPECT_EQ(s.verify(by_old, kNow), Verdict::kAccepted) << "and the first scheme keeps its own";
  }
}

TEST(DescribedWithSecrets, HoldsThemToTheSameRules) {
  auto d = testing::listed();
  d.secret_encoding = SecretEncoding::kWhsec;
  d.secrets = {"whsec_" + base64("a long enough secret")};
  const DescribedScheme s = scheme(d);
  for (const auto& secrets : std::vector<std::vector<std::string>>{{}, {""}, {"whsec_"}, {"n0t-base64-but-VERY-secret!"}}) {
    auto other = s.with_secrets(secrets);
    EXPECT_EQ(other.status().code(), Code::kInvalid);
    EXPECT_THAT(other.status().message(), Not(HasSubstr("VERY-secret")));
  }
}

}  // namespace
}  // namespace postern::signature
